"""What lies between a hand and a game: buttons, taps, delays and recordings."""

import ipaddress
import socket
import threading
import urllib.parse

import numpy as np
import pytest

from rtrl_jax.actions import Vector
from rtrl_jax.addresses import check_port
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.page import listener as listeners
from rtrl_jax.page.controls import Controls, Held, controls_of
from rtrl_jax.page.lag import Delayed, Sequential
from rtrl_jax.page.listener import opened
from rtrl_jax.page.recording import Recording, check
from rtrl_jax.replay import demonstrations
from rtrl_jax.settings import Settings
from rtrl_jax.settings_forms import as_flagfile

SPEC = Spec((84, 84, 1), "uint8", 6, 6, 60.0, 1e-3, (144, 160, 3), ("A", "B", "LEFT", "UP", "RIGHT", "DOWN"))
ATARI = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPRIGHTFIRE", "DOWNLEFT")


def test_a_game_boys_buttons_are_single_actions_and_the_last_one_wins():
    controls = Controls(6, SPEC.action_names, 6)
    assert controls.keys["A"] == ("KeyX",)
    assert controls.keys["LEFT"] == ("ArrowLeft",)
    assert controls.action([]) == 6
    assert controls.action(["LEFT"]) == 2
    assert controls.action(["LEFT", "A"]) == 0


def test_a_joystick_goes_both_ways_at_once():
    controls = Controls(len(ATARI), ATARI, 0)
    assert set(controls.buttons) == {"FIRE", "UP", "RIGHT", "LEFT", "DOWN"}
    assert controls.action(["UP", "RIGHT"]) == 6
    assert controls.action(["FIRE", "RIGHT", "UP"]) == 7
    assert controls.action(["FIRE", "LEFT"]) == 4  # there is no LEFTFIRE here
    assert controls.action([]) == 0


def test_actions_without_names_are_numbers():
    controls = Controls(3, (), 0)
    assert controls.buttons == ("1", "2")
    assert controls.keys["2"] == ("Digit2",)
    assert controls.action(["2"]) == 2


def test_a_tap_shorter_than_a_tick_counts_once():
    held, me, you = Held(("A", "B")), object(), object()
    held.press(me, "A")
    held.release(me, "A")
    assert held.take() == ["A"]
    assert held.take() == []
    held.press(you, "B")
    held.press(me, "A")
    held.take()
    held.release_all(me)
    assert held.take() == ["B"]
    with pytest.raises(ValueError, match="button"):
        held.press(me, "START")


@pytest.mark.parametrize("delay", [1, 2, 8])
def test_a_delay_is_so_many_ticks(delay):
    lag = Delayed(delay, default_action=6)
    # What is pressed at tick t answers to picture t − 1: it acts at t − 1 + delay.
    acted = [lag.act(tick) for tick in range(20)]
    assert acted == [6] * (delay - 1) + list(range(20 - (delay - 1)))


def test_a_slow_sequential_agent_acts_once_in_so_many_ticks():
    lag = Sequential(5, default_action=6)
    assert [lag.act(tick) for tick in range(12)] == [6, 6, 6, 6, 6, 0, 6, 6, 6, 6, 5, 6]


def test_a_recording_can_be_read_back(tmp_path):
    recording, frame = Recording(6, "gameboy/stacks", ("A", "B")), np.full((84, 84, 1), 7, np.uint8)
    for action, reward, ended in ((6, 0, False), (2, 1.5, False), (0, 0, True), (6, 0, False)):
        recording.add(frame, action, reward, ended, False)
    path = check(str(tmp_path / "mine.npz"), SPEC)
    assert "4 frames, 2 actions, 1.5 points" in recording.write(path)
    arrays = demonstrations.read(path, SPEC.observation_shape, SPEC.actions)
    assert arrays["actions"].tolist() == [-1, 2, 0, -1]
    assert arrays["ends"].tolist() == [0, 0, 1, 2]
    duel = demonstrations.Game("gameboy/duel-battles", ("A", "B"))
    with pytest.raises(UserError, match="is of gameboy/stacks"):
        demonstrations.read(path, SPEC.observation_shape, SPEC.actions, duel)
    with pytest.raises(UserError, match="new file"):
        check(str(path), SPEC)


def test_of_vectors_a_number_goes_to_one_end_or_the_other():
    spec = SPEC._replace(actions=Vector((-2.0, 0.0), (2.0, 1.0)), default_action=(0.0, 0.5), action_names=())
    controls = controls_of(spec)
    assert controls.buttons == ("0-", "0+", "1-", "1+")
    assert controls.keys["0-"] == ("ArrowLeft",)
    assert controls.action([]).tolist() == [0, 0.5]
    assert controls.action(["0-", "1+"]).tolist() == [-2, 1]
    assert controls.action(["0-", "0+"]).tolist() == [2, 0.5]


def test_a_recording_of_vectors_can_be_read_back_and_learned_from(tmp_path):
    actions = Vector((-2.0, 0.0), (2.0, 1.0))
    recording = Recording((0.0, 0.5), "gymnasium/it", (), actions)
    frame = np.zeros((84, 84, 1), np.uint8)
    for action in ((0.0, 0.5), np.array([1, 0.25], np.float32), (0.0, 0.5), np.array([-2, 1], np.float32)):
        recording.add(frame, action, 1.0, False, False)
    assert "2 actions" in recording.write(tmp_path / "it.npz")
    arrays = demonstrations.read(tmp_path / "it.npz", (84, 84, 1), actions)
    acts = demonstrations.as_acts(arrays, 1, default_action=(0.0, 0.5), layout=actions.layout)
    assert acts.rows(np.arange(2))["action"].tolist() == [[1, 0.25], [-2, 1]]
    for other in (actions._replace(high=(1.0, 0.5)), Vector((0.0,) * 3, (2.0,) * 3), 4):
        with pytest.raises(UserError):
            demonstrations.read(tmp_path / "it.npz", (84, 84, 1), other)


def test_a_recording_of_nothing_is_not_written(tmp_path):
    recording = Recording(default_action=6)
    recording.add(np.zeros((84, 84, 1), np.uint8), 6, 0.0, False, False)
    assert "nothing was pressed" in recording.write(tmp_path / "none.npz")
    assert not (tmp_path / "none.npz").exists()


def test_listeners():
    with opened(None, "127.0.0.1") as none:
        assert none is None
    with opened(0, "127.0.0.1") as listener:
        assert listener.token is None
        port = listener.socket.getsockname()[1]
        assert listener.url == f"http://127.0.0.1:{port}/"
        with pytest.raises(UserError, match=f"--page={port}.*choose another"), opened(port, "127.0.0.1"):
            pass
    with opened(0, "0.0.0.0") as listener:
        assert len(listener.token) > 20
        assert listener.url.endswith(f"?token={listener.token}")
    for port in (-1, 65536):
        with pytest.raises(UserError, match="65535"):
            check_port(port)
    with pytest.raises(UserError, match="page_host"), opened(0, "no.such.address.invalid"):
        pass


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"page": -1}, "65535"),
        ({"page": 8000, "delay": 4}, "wall clock"),
        ({"page": 0, "page_host": "0.0.0.0", "display": "none"}, "token"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(UserError, match=said):
        Settings(**settings).check()


def test_a_run_that_is_repeated_is_not_shown_on_the_same_port():
    assert "\n# --page=8000\n" in as_flagfile(Settings(page=8000))


def test_the_address_for_others_leads_to_this_machine(monkeypatch):
    """A machine's name is often known to itself alone, if to anybody."""
    look_up = socket.getaddrinfo

    def address(name, found):
        def answer(host, *rest, **more):
            if host != name:
                return look_up(host, *rest, **more)
            return [(None, None, None, "", (one, 0)) for one in found]

        monkeypatch.setattr(socket, "gethostname", lambda: name)
        monkeypatch.setattr(socket, "getaddrinfo", answer)
        with opened(0, "0.0.0.0") as listener:
            return urllib.parse.urlsplit(listener.url).hostname

    assert address("known", ["127.0.1.1", "192.0.2.7"]) == "known"
    for found in ([], ["127.0.1.1"], ["127.0.1.1", "::1"]):
        with socket.create_server((address("unknown", found), 0)):
            pass  # an address of this machine


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(listeners, "LOOK_UP_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait() and [])
    assert ipaddress.ip_address(listeners.name_of_machine())
    over.set()

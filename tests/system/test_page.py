"""The pages in a real browser: a run watched live, paused and stopped; a finished run; a game played and recorded."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import browser as browsers
import numpy as np
import pytest
from conftest import ROOT, command, processes_with
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from system.test_failures import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from rtrl_jax.page.messages import LONGEST, unpack
from rtrl_jax.page.viewers import BAD_MESSAGE, MOST_UNSEEN, TOO_SLOW

FLAGS = ["--environment=gameboy/duel-battles", "--parameters=55K", "--learner_workers=0", "--epsilon_end=0.2"]
WORKERS = ["--inference_workers=3", "--workers_per_process=3", "--emulated_inference_ms=normal:40,8"]


@pytest.fixture(scope="module")
def one_browser():
    one = browsers.opened()
    yield one
    one.quit()


@pytest.fixture
def browser(one_browser):
    """With no page open, and nothing left of what an earlier one, whose run has gone, had to complain of."""
    one_browser.get("about:blank")
    browsers.complaints(one_browser)
    return one_browser


@pytest.fixture
def begin(tmp_path):
    """Starts a command and returns (process, address of its page, function that returns all it printed)."""
    started = []

    def start(*words):
        log = tmp_path / f"output-{len(started)}"
        with open(log, "w") as output:
            process = subprocess.Popen(words, stdout=output, stderr=output, cwd=ROOT)
        started.append(process)
        found = wait_for(lambda: re.search(r"http://\S+", log.read_text()) or process.poll())
        assert process.poll() is None, log.read_text()
        return process, found[0], log.read_text

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def live(url: str) -> str:
    return url.replace("http://", "ws://", 1).rstrip("/") + "/live"


def script(name: str, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "launch" / name), *words]


def text(browser, name: str) -> str:
    return browser.execute_script("return document.getElementById(arguments[0])?.innerText || ''", name)


def open_when_it_plays(browser, url: str) -> None:
    browser.get(url)
    wait_for(lambda: "filled" in text(browser, "finding"))


def moves(browser, canvas: str, seconds: float = 5.0) -> bool:
    before, deadline = browsers.pixels(browser, canvas), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if browsers.pixels(browser, canvas) != before:
            return True
        time.sleep(0.1)
    return False


def coloured(browser, canvas: str) -> int:
    """How many of its pixels are of the colour of actions that acted."""
    return browser.execute_script(
        """const box = document.getElementById(arguments[0]);
        const copy = Object.assign(document.createElement("canvas"), {width: box.width, height: box.height});
        const pen = copy.getContext("2d", {willReadFrequently: true});
        pen.drawImage(box, 0, 0);
        const data = pen.getImageData(0, 0, box.width, box.height).data;
        let count = 0;
        for (let i = 0; i < data.length; i += 4) count += data[i + 3] === 255 && data[i + 2] - data[i] > 120;
        return count;""",
        canvas,
    )


def close_code(wire) -> int:
    """Reads until the server closes."""
    try:
        while True:
            wire.recv(timeout=10)
    except ConnectionClosed as closed:
        return closed.rcvd.code


def test_a_run_is_watched_paused_and_stopped(browser, begin, tmp_path):
    run = tmp_path / "run"
    process, url, printed = begin(*command(*FLAGS, *WORKERS, "--page=0", "--duration_s=120", f"--run_dir={run}"))
    wait_for(lambda: place_page(run))
    time.sleep(1)
    open_when_it_plays(browser, url)
    assert text(browser, "title") == "gameboy/duel-battles"
    assert "inference emulated" in text(browser, "subtitle")
    for canvas in ("picture", "observation", "timeline"):
        assert moves(browser, canvas), canvas
    # A dash until two ticks were counted, and the count is a second old where the machine is busy.
    rate = wait_for(lambda: re.search(r"ticks a second\s+([\d.]+)", text(browser, "figures")))
    assert float(rate[1]) == pytest.approx(59.7275, rel=0.2)

    # Three at once, and one that reads nothing: the others go on, and so does the run.
    with connect(live(url), max_queue=None) as second, connect(live(url)) as stuck:
        for number in range(5):
            header, _ = unpack(second.recv(timeout=5))
            second.send(json.dumps({"type": "seen", "number": number + 1}))
            assert header["type"] == ("frame" if number else "hello")
        deadline = time.monotonic() + MOST_UNSEEN / 15 + 4
        while time.monotonic() < deadline:
            unpack(second.recv(timeout=5))
            number += 1
            second.send(json.dumps({"type": "seen", "number": number + 1}))
        assert close_code(stuck) == TOO_SLOW
    for sent, code in (
        ("rubbish", BAD_MESSAGE),
        ('{"type":"down","button":"A"}', BAD_MESSAGE),
        ("x" * 2 * LONGEST, 1009),
    ):
        with connect(live(url)) as rude:
            rude.send(sent)
            assert close_code(rude) == code
    assert moves(browser, "picture")

    browser.find_element(By.ID, "pause").click()
    assert "The world is not" in text(browser, "notice")
    time.sleep(0.3)
    assert not moves(browser, "picture", 0.7)
    assert not moves(browser, "timeline", 0.3)
    browser.find_element(By.ID, "pause").click()
    assert moves(browser, "picture")
    assert moves(browser, "timeline")

    # The page is no part of what the run needs.
    os.kill(place_page(run), signal.SIGKILL)
    wait_for(lambda: "page was killed by SIGKILL; replaced" in printed())
    wait_for(lambda: "lost" not in text(browser, "notice") and moves(browser, "picture", 1.0))

    stop = browser.find_element(By.ID, "stop")
    stop.click()
    assert process.poll() is None
    assert stop.text == "Really stop it?"
    stop.click()
    process.wait(20)
    assert process.returncode == 0, printed()
    wait_for(lambda: "has ended" in text(browser, "notice"))
    summary, ticks = json.loads((run / "summary.json").read_text()), np.load(run / "ticks.npz")
    assert summary["ended_by"] == "the stop button of the page"
    assert [failure["process"] for failure in summary["failures"]] == ["page"]
    assert summary["slipped_ticks"] == 0
    assert np.diff(ticks["tick"]).max() == 1
    assert not processes_with(str(run))
    lost = [line for line in browsers.complaints(browser) if "WebSocket" not in line]  # while the page was replaced
    assert lost == []

    # The same run from its folder.
    _, url, _ = begin(*script("watch.py", str(run), "--page=0"))
    open_when_it_plays(browser, url)
    assert "from its records" in text(browser, "subtitle")
    wait_for(lambda: text(browser, "scrub-label"))
    before = browsers.pixels(browser, "timeline")
    browser.find_element(By.ID, "slider").send_keys(Keys.END)
    last = f"{ticks['tick'][-1]:,}"
    wait_for(lambda: text(browser, "scrub-label").endswith(last))
    assert browsers.pixels(browser, "timeline") != before
    assert browser.execute_script("return document.querySelectorAll('.chart canvas').length") >= 2
    assert browsers.complaints(browser) == []


NAN_WORLD = """
import gymnasium
import numpy as np


class Broken(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.array([np.nan, 0.5], np.float32), 1.0, False, False, {}


gymnasium.register("Broken-v0", entry_point=Broken, max_episode_steps=30)
"""


def test_a_world_whose_numbers_are_none_is_watched_to_its_end(browser, begin, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(NAN_WORLD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    run = tmp_path / "run"
    flags = ["--environment=gymnasium/broken:Broken-v0", "--rate_hz=30", "--learn_start=20", "--duration_s=60"]
    process, url, printed = begin(*command(*flags, "--page=0", f"--run_dir={run}"))
    wait_for(lambda: place_page(run))
    open_when_it_plays(browser, url)  # maybe long before it does
    wait_for(lambda: "0.000, 0.500" in text(browser, "numbers"))
    wait_for(lambda: all(name in text(browser, "figures") for name in ("updates so far", "mean Q", "inactive units")))
    wait_for(lambda: "Inactive units" in text(browser, "learning"))

    assert moves(browser, "timeline")
    wait_for(lambda: coloured(browser, "timeline") > 100)
    browser.find_element(By.ID, "stop").click()
    browser.find_element(By.ID, "stop").click()
    assert process.wait(30) == 0, printed()
    summary = json.loads((run / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["failures"] == []
    assert summary["not_finite"]["observations"] > 0
    assert browsers.complaints(browser) == []


def place_page(run):
    """The process that serves the run's page, once there is one."""
    found = [pid for pid in processes_with(str(run)) if is_page(pid)]
    return found[0] if found else None


def is_page(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[-3] == b"page"
    except (OSError, IndexError):
        return False


def test_a_game_is_played_and_recorded(browser, begin, tmp_path):
    record = tmp_path / "mine.npz"
    words = script("play.py", "--environment=gameboy/stacks", "--page=0", f"--record={record}")
    process, url, printed = begin(*words)
    browser.get(url)
    wait_for(lambda: "59.73" in text(browser, "subtitle"))
    assert text(browser, "overlay")
    wait_for(lambda: not moves(browser, "picture", 0.5))  # once it is drawn, nothing happens before the first press
    ActionChains(browser).key_down(Keys.ARROW_DOWN).pause(1.0).key_up(Keys.ARROW_DOWN).perform()
    score = lambda: int(text(browser, "score").replace(",", "") or 0)  # noqa: E731
    wait_for(lambda: score() > 0)
    button = browser.find_element(By.CSS_SELECTOR, '[data-button="DOWN"]')
    ActionChains(browser).move_to_element(button).click_and_hold().perform()
    wait_for(lambda: "DOWN" in text(browser, "scores"))
    ActionChains(browser).release().perform()
    wait_for(lambda: "DOWN" not in text(browser, "scores"))
    assert moves(browser, "picture")
    assert browsers.complaints(browser) == []
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0, printed()
    assert "wrote" in printed()
    again = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert again.returncode == 2
    assert "new file" in again.stderr
    assert again.stderr.count("\n") == 1

    run = tmp_path / "run"
    flags = ["--environment=gameboy/stacks", "--parameters=55K", f"--demonstrations={record}", "--pretrain_steps=2"]
    done = subprocess.run(command(*flags, "--max_ticks=30", f"--run_dir={run}"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "summary.json").read_text())["failures"] == []


def test_elsewhere_nobody_comes_in_without_the_token(begin):
    process, url, printed = begin(*script("play.py", "--page=0", "--page_host=0.0.0.0", "--delay=8"))
    port, token = re.search(r":(\d+)/\?token=(\S+)", url).groups()
    for wrong in ("", "?token=", "?token=wrong"):
        with pytest.raises(InvalidStatus, match="403"), connect(f"ws://127.0.0.1:{port}/live{wrong}"):
            pass
    with connect(f"ws://127.0.0.1:{port}/live?token={token}") as wire:
        header, _ = unpack(wire.recv(timeout=5))
    assert (header["delay"], header["sequential"]) == (8, False)
    taken = subprocess.run(script("play.py", f"--page={port}"), capture_output=True, text=True, cwd=ROOT)
    assert taken.returncode == 2
    assert "choose another port" in taken.stderr
    assert taken.stderr.count("\n") == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0, printed()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["play.py", "--page=70000"], "65535"),
        (["play.py", "--environment=gameboy/nothing"], "did you mean"),
        (["play.py", "--environment=gymnasium/CartPole-v1"], "no picture"),
        (["play.py", "--interaction=sequential"], "give both"),
        (["play.py", "--record=here.txt"], ".npz"),
        (["watch.py"], "RUN is missing"),
        (["watch.py", "no/such/run"], "no run that can be shown"),
    ],
)
def test_bad_input_is_one_line(words, said):
    done = subprocess.run(script(*words), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("width", "touch"), [(390, True), (1280, False)])
def test_nothing_is_wider_than_the_screen(begin, width, touch):
    _, url, _ = begin(*script("play.py", "--environment=atari/Boxing", "--page=0"))
    browser = browsers.opened(width, 844, dark=True, touch=touch)
    try:
        browser.get(url)
        wait_for(lambda: "60.00" in text(browser, "subtitle"))
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert browsers.complaints(browser) == []
    finally:
        browser.quit()

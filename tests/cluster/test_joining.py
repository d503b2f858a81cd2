"""Which machine learners go to, and a cluster whose head is gone; without Ray."""

import dataclasses
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from ray_nodes import wait_for

from rtrl_jax.cluster import joining
from rtrl_jax.cluster.crews import Crews, _Crew
from rtrl_jax.cluster.joining import Cluster, Head, Machine
from rtrl_jax.errors import UserError
from rtrl_jax.realtime.launcher import learners_machine
from rtrl_jax.settings import Settings

HERE, LARGE, SMALL = (
    Machine(name, name, f"10.0.0.{n}", cores) for n, (name, cores) in enumerate((("a", 0), ("b", 8), ("c", 2)))
)


def cluster():
    found = object.__new__(Cluster)
    found.here, found.others = HERE, [LARGE, SMALL]
    return found


@pytest.mark.parametrize(
    ("where", "cores", "learners", "expected"),
    [
        ("environment", "0", 1, None),
        ("auto", "0", 1, LARGE),
        ("auto", "0,1", 1, None),
        ("auto", "0,1", 2, LARGE),
        ("auto", "0", 0, None),
        ("c", "0,1", 1, SMALL),
        ("10.0.0.2", "0,1", 1, SMALL),
        ("a", "0", 1, None),
    ],
)
def test_where_learners_go(where, cores, learners, expected, monkeypatch):
    monkeypatch.setattr(Settings, "core_list", lambda self: [int(core) for core in cores.split(",")])
    settings = Settings(cluster="auto", learners_on=where)
    assert learners_machine(settings, cluster(), learners) == expected


def test_a_machine_that_is_not_there_is_said_with_those_that_are():
    with pytest.raises(UserError, match=r"--learners_on=d: 0 machines are called so; there are a \(10.0.0.0\), b"):
        learners_machine(Settings(cluster="auto", learners_on="d"), cluster(), 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"learners_on": "auto"}, "--learners_on=auto belongs to --cluster"),
        ({"cluster": "auto", "learners_on": "b", "learner_workers": "0"}, "nothing is learned here"),
        ({"snapshot_dtype": "bfloat16"}, "--snapshot_dtype=bfloat16 belongs to --cluster"),
        (
            {"cluster": "auto", "learners_on": "b", "demonstrations": "x.npz"},
            "--demonstrations are on the environment's",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(given, says):
    with pytest.raises(UserError, match=says):
        Settings(**given).check()


def test_a_head_that_does_not_answer_any_more_ends_the_run_and_nothing_is_asked_of_it(monkeypatch):
    monkeypatch.setattr(joining, "LOOK_S", 0.01)
    monkeypatch.setattr(joining, "GIVEN_UP_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as door:
        head = Head(f"127.0.0.1:{door.getsockname()[1]}")
        crews = object.__new__(Crews)
        crews._cluster, crews._crews, crews.fatal = SimpleNamespace(head=head), [], None
        time.sleep(0.2)
        crews.look(None, None, starting=False)
        assert crews.fatal is None
    wait_for(lambda: head.is_lost, 5)
    crews.look(None, None, starting=False)
    assert crews.fatal == f"the head of the Ray cluster ({head.address}) does not answer any more"
    crews._crews = [SimpleNamespace(began=True)]  # which has no actor that could be asked
    crews.end()


def test_nobody_looks_at_a_head_that_is_of_no_interest_any_more(monkeypatch):
    monkeypatch.setattr(joining, "LOOK_S", 0.01)
    before = threading.active_count()
    head = Head("127.0.0.1:1")
    assert threading.active_count() == before + 1
    head.end()
    wait_for(lambda: threading.active_count() == before, 5)


def test_a_machine_that_cannot_start_a_bridge_is_lost(monkeypatch):
    def outcome(reference, timeout_s=0.0):
        if reference == "begin":
            raise RuntimeError("ray::Host.begin()\nOSError: [Errno 28] No space left on device")
        return False, None

    cluster = SimpleNamespace(gone=RuntimeError, outcome=outcome, answer=lambda reference: outcome(reference)[1])
    listener = SimpleNamespace(socket=SimpleNamespace(getsockname=lambda: ("127.0.0.1", 1)), token="secret")
    crews = object.__new__(Crews)
    crews._cluster, crews._listener, crews._assembly = cluster, listener, Assembled(bridge=0)
    crews._board = SimpleNamespace(link=np.zeros((1, 4), int), ready=np.ones(1))
    actor = SimpleNamespace(begin=SimpleNamespace(remote=lambda told: "begin"))
    crew = _Crew(0, 1, actor, "there")
    crews._begin(crew)
    assert crews._look(crew, None, time.monotonic()).startswith("cannot start a bridge")


@dataclasses.dataclass
class Assembled:
    bridge: int

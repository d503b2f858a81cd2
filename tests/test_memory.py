"""How much memory there is, by fake trees of control groups as Linux, Docker, Slurm and systemd lay them out."""

import psutil
import pytest

from rtrl_jax import memory
from rtrl_jax.memory import Limit

GIB = 1 << 30
UNLIMITED = 0x7FFFFFFFFFFFF000  # as version 1 writes it


@pytest.fixture
def limits(tmp_path):
    """Writes a tree of files and the groups of the process; returns the limits found."""

    def find(membership: str, files: dict):
        for name, content in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        (tmp_path / "membership").write_text(membership)
        return memory.limits(tmp_path / "cgroup", tmp_path / "membership")

    return find


def test_version_2_with_a_limit_around_a_group_that_has_none(limits):
    job = "system.slice/slurmstepd.scope/job_7"
    files = {
        f"{job}/memory.max": 4 * GIB,
        f"{job}/memory.current": 3 * GIB,
        f"{job}/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\nactive_file 5",
        f"{job}/step_0/memory.max": "max",
        f"{job}/step_0/memory.high": "max",
        f"{job}/step_0/memory.current": GIB,
        "memory.stat": "anon 0",
    }
    assert limits(f"0::/{job}/step_0\n", files) == [Limit(4 * GIB, GIB)]


def test_version_2_in_a_container_is_mounted_at_its_own_group(limits):
    files = {"memory.max": 2 * GIB, "memory.high": GIB, "memory.current": 100, "memory.stat": "inactive_file 400"}
    assert limits("0::/\n", files) == [Limit(GIB, 0)]


def test_version_1(limits):
    files = {
        "memory/memory.limit_in_bytes": UNLIMITED,
        "memory/memory.usage_in_bytes": 20 * GIB,
        "memory/user/memory.limit_in_bytes": 3 * GIB,
        "memory/user/memory.usage_in_bytes": 2 * GIB,
        "memory/user/memory.stat": f"cache 1\ninactive_file 7\ntotal_inactive_file {GIB}",
    }
    membership = "9:name=systemd:/\n4:cpu,cpuacct:/other\n3:memory:/user\n0::/\n"
    assert limits(membership, files) == [Limit(3 * GIB, GIB), Limit(UNLIMITED, 20 * GIB)]


def test_version_1_in_a_container_that_sees_the_path_outside(limits):
    files = {"memory/memory.limit_in_bytes": 512, "memory/memory.usage_in_bytes": 12, "memory/memory.stat": ""}
    assert limits("3:memory:/docker/4f2a\n", files) == [Limit(512, 12)]


@pytest.mark.parametrize("membership", ["", "nonsense\n", "0::/../..\n", "3:cpu:/\n", "0::/gone\n"])
def test_without_a_limit_there_is_none(limits, membership):
    assert limits(membership, {"memory.max": "max", "memory.current": "some"}) == []


def test_a_machine_without_control_groups(tmp_path):
    assert memory.limits(tmp_path / "none", tmp_path / "none") == []


def test_the_least_of_machine_and_groups_counts(monkeypatch):
    machine = psutil.virtual_memory()
    monkeypatch.setattr(memory, "limits", lambda: [Limit(UNLIMITED, 0), Limit(GIB, GIB // 4), Limit(2 * GIB, GIB)])
    assert memory.total() == min(machine.total, GIB)
    assert memory.available() <= GIB * 3 // 4
    monkeypatch.setattr(memory, "limits", lambda: [Limit(GIB, 2 * GIB)])  # more than there may be, for a moment
    assert memory.available() == 0
    monkeypatch.setattr(memory, "limits", lambda: [Limit(UNLIMITED, 0)])
    assert memory.total() == machine.total
    assert memory.available() == pytest.approx(psutil.virtual_memory().available, rel=0.2)

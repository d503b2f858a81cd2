"""Cores in the order to give them out, on machines that are made of files."""

import pytest

from rtrl_jax import topology


def machine(folder, threads):
    """Args: threads: processor -> (package, core, memory node)."""
    for number, (package, core, node) in threads.items():
        of = folder / f"cpu{number}"
        (of / "topology").mkdir(parents=True)
        (of / "topology" / "physical_package_id").write_text(f"{package}\n")
        (of / "topology" / "core_id").write_text(f"{core}\n")
        (of / f"node{node}").mkdir()
    return folder


def test_every_core_is_given_out_before_any_second_thread(tmp_path):
    siblings = machine(tmp_path, {n: (0, n // 2, 0) for n in range(8)})  # 0 and 1 share a core, 2 and 3, …
    assert topology.cores(set(range(8)), siblings) == [0, 2, 4, 6, 1, 3, 5, 7]
    assert topology.cores({1, 2, 3}, siblings) == [1, 2, 3]  # 1 is the first of its core that may be used


def test_cores_of_a_memory_node_come_together(tmp_path):
    two = machine(tmp_path, {n: (n % 2, n // 2, n % 2) for n in range(6)})  # even ones on node 0, odd ones on node 1
    assert topology.cores(set(range(6)), two) == [0, 2, 4, 1, 3, 5]


def test_where_nothing_is_told_they_come_by_number(tmp_path):
    assert topology.cores({3, 1, 2}, tmp_path) == [1, 2, 3]


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"job/cpu.max": "400000 100000\n", "cpu.max": "200000 100000\n"}, "0::/job\n", 2.0),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/\n", 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/\n", None),
        ({}, "", None),
    ],
)
def test_what_control_groups_grant(tmp_path, files, membership, expected):
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    assert topology.granted(tmp_path / "groups", tmp_path / "membership") == expected

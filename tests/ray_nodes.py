"""Several real Ray nodes on this machine, and what runs on one of them."""

import os
import signal
import time
from contextlib import contextmanager, suppress

import psutil
from conftest import ROOT


@contextmanager
def started(*cores: int, store: int = 80 << 20):
    """Yields a `Nodes`: a head on which Ray places nothing, and a node for each number of cores. Args: store: bytes of each."""
    given = os.environ.get("PYTHONPATH")  # an empty part would be the working folder of every later test's processes
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([given] if given else [])])
    from ray.cluster_utils import Cluster

    options = {"object_store_memory": store, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=False, head_node_args={"num_cpus": 0, **options})
    try:
        yield Nodes(cluster, cores, store)
    finally:
        cluster.shutdown()


class Nodes:
    def __init__(self, cluster, cores, store):
        self._cluster, self.address, self._store = cluster, cluster.address, store
        self.all = [self.add(count) for count in cores]

    def add(self, cores: int, **more):
        return self._cluster.add_node(num_cpus=cores, object_store_memory=self._store, **more)

    def remove(self, node) -> None:
        """Until Ray knows, which takes it a while where all of a node was killed: a run would be placed there meanwhile."""
        self._cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: node.node_id not in self._cluster.global_state._live_node_ids())

    @staticmethod
    def processes(node) -> list[psutil.Process]:
        """All of a node: its raylet, what Ray started there, and what that has started."""
        found = []
        for kind in node.all_processes.values():
            for one in kind:
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(one.process.pid)
                    found += [process, *process.children(recursive=True)]
        return found

    def kill(self, node) -> None:
        """All at once, as when a machine is switched off."""
        for process in self.processes(node):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def named(self, node, name: str) -> list[psutil.Process]:
        """Those of a run that are called so and are there."""
        found = []
        for process in self.processes(node):
            with suppress(psutil.NoSuchProcess):
                if runs(process, "rtrl_jax.realtime.child") and name in process.cmdline():
                    found.append(process)
        return found

    def runs(self, node, name: str) -> bool:
        """Whether a process of that name is there."""
        return bool(self.named(node, name))

    def bridge(self, node) -> psutil.Process | None:
        return next((one for one in self.processes(node) if runs(one, "rtrl_jax.cluster.node")), None)


def runs(process: psutil.Process, module: str) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(module in part for part in process.cmdline())
    return False


def ours() -> list[psutil.Process]:
    """All bridges and workers that there are on other machines."""
    return [one for one in psutil.process_iter() if runs(one, "rtrl_jax.cluster.node") or runs(one, "/tmp/rtrl_jax-")]


def wait_for(condition, timeout=30.0):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value

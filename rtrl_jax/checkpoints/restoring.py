"""Going on from a checkpoint: which settings then hold, whether it fits, and putting it on a new board."""

import dataclasses
import pathlib
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.ring import Observations
from rtrl_jax.checkpoints import replay, store
from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings
from rtrl_jax.workers.learning import NOT_BEGUN

FIXED = ("environment", "frame_stack", "rate_hz")  # another value of these makes another world


class Past(NamedTuple):
    """A checkpoint that a run goes on from."""

    checkpoint: pathlib.Path
    manifest: dict

    @property
    def tick(self) -> int:
        return self.manifest["tick"]


def open_run(run: pathlib.Path, overrides: dict) -> tuple[Past, Settings]:
    """The newest checkpoint of a run, and its settings with some overridden. Raises UserError."""
    checkpoint = store.find(run)
    manifest = store.read_manifest(checkpoint)
    try:
        before = Settings(**manifest["settings"])
    except TypeError as error:
        raise UserError(f"checkpoint {checkpoint} has settings that this version does not know ({error})") from None
    for name in FIXED:
        if name in overrides and overrides[name] != getattr(before, name):
            raise UserError(
                f"--{name}={overrides[name]}: the checkpoint {checkpoint} has {getattr(before, name)}; leave it out, or "
                "start a new run"
            )
    return Past(checkpoint, manifest), dataclasses.replace(before, **{"video": None, **overrides, "run_dir": str(run)})


def check_fits(past: Past, assembly) -> None:
    """Raises UserError if the checkpoint is one of another network or another game than the run has."""
    manifest, spec = past.manifest, assembly.spec
    world = [list(spec.observation_shape), spec.observation_dtype, spec.actions]
    if [manifest["observation_shape"], manifest["observation_dtype"], manifest["actions"]] != world:
        raise UserError(f"checkpoint {past.checkpoint} is one of another game: {manifest['environment']}")
    shapes = [list(leaf.shape) for leaf in assembly.leaves]
    if manifest["parameter_shapes"] != shapes:
        there = manifest["network"]
        raise UserError(
            f"checkpoint {past.checkpoint} is one of another network: {there['name']} of width {there['width']:g} with its own "
            "heads; leave --network, --width, --parameters and the agent's parts as they were"
        )


def restore(past: Past, assembly, board, publish) -> None:
    """Fills a new board with what the checkpoint holds.

    Args:
      publish: (parameters, optimiser leaves, version=, target=) -> None, puts a training state on the board.

    Raises:
      UserError: the checkpoint is damaged.
    """
    manifest, learns = past.manifest, bool(assembly.dimensions.learners)
    tree, arrays = store.read_tree(past.checkpoint), store.read_arrays(past.checkpoint)
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    replay.read(past.checkpoint, manifest, observations)
    board.tick_head[0] = manifest["tick"] + 1
    version = manifest["updates"]
    parameters = _leaves(tree["parameters"])
    if learns and "optimiser" in tree:
        # Twice: the first puts the target network in its slot, the second the rest.
        publish(_leaves(tree["target"]), _leaves(tree["optimiser"]), version=manifest["target_version"], target=True)
        publish(parameters, _leaves(tree["optimiser"]), version=version, target=False)
    else:
        blank = [np.zeros(leaf.shape, leaf.dtype) for leaf in assembly.optimiser_leaves]
        publish(parameters, blank, version=version, target=learns)
    kept_replay = manifest["settings"]["checkpoint_replay"]
    board.turn[0] = 0
    board.due_tick[0] = manifest["due_tick"] if kept_replay else NOT_BEGUN
    if kept_replay and board.priorities.size and "priorities" in arrays:
        _restore_priorities(board, arrays["priorities"], manifest, len(observations.frames))
    if assembly.inference_workers == manifest["inference_workers"]:
        board.stagger[:] = arrays["stagger"]
    states = min(len(board.random_states), len(arrays["random_states"]))
    board.random_states[:states] = arrays["random_states"][:states]
    _restore_environment(past, board, observations)


def _restore_priorities(board, leaves: np.ndarray, manifest: dict, capacity: int) -> None:
    # A leaf belongs to a tick modulo the capacity: with another capacity all begin anew.
    if capacity == manifest["capacity"] and 2 * len(leaves) == len(board.priorities):
        from rtrl_jax.replay.sum_tree import SumTree

        SumTree(board.priorities).set(np.arange(len(leaves)), leaves)
        board.largest_priority[0] = manifest["largest_priority"]
        board.priorities_entered[0] = manifest["priorities_entered"]


def _restore_environment(past: Past, board, observations: Observations) -> None:
    """Its state; or, of one that cannot be saved, the word that its last episode was cut off."""
    path = past.checkpoint / "environment"
    state = path.read_bytes() if path.is_file() else b""
    board.saved_environment[: len(state)] = np.frombuffer(state, np.uint8)
    board.saved_bytes[0] = len(state) if state else -1
    board.saved_tick[0] = past.tick
    if past.manifest.get("resumes_at_new_episode") or not state:
        last = observations.ticks.rows[past.tick % observations.capacity : past.tick % observations.capacity + 1]
        last["truncated"] |= ~last["terminated"]


def _leaves(stored: dict) -> list[np.ndarray]:
    return [np.asarray(stored[name]) for name in sorted(stored)]


def cut(records: dict[str, np.ndarray], past: Past) -> dict[str, np.ndarray]:
    """What the run had recorded by the time of the checkpoint; what came after it will be played anew."""
    ticks, decisions, updates = (records[kind] for kind in ("ticks", "decisions", "updates"))
    ticks = ticks[ticks["tick"] <= past.tick]
    if past.manifest.get("resumes_at_new_episode") and len(ticks):
        ticks["truncated"][-1] |= ~ticks["terminated"][-1]
    known = (decisions["decision"]["obs_tick"] <= past.tick) & (decisions["apply_tick"] <= past.tick)
    return {
        "ticks": ticks,
        "decisions": decisions[known],
        "updates": updates[updates["applied_version"] < past.manifest["updates"]],
    }

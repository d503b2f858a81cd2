"""Going on from a checkpoint: which settings then hold, whether it fits, and putting it on a new board."""

import dataclasses
import pathlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from rtrl_jax import actions
from rtrl_jax.board.layout import BRIM
from rtrl_jax.board.ring import Observations
from rtrl_jax.board.saved_state import SavedState
from rtrl_jax.checkpoints import replay, store
from rtrl_jax.errors import UserError
from rtrl_jax.replay.sum_tree import SumTree
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry import summary as summaries
from rtrl_jax.telemetry.recorder import read_back
from rtrl_jax.workers.learner import NOT_BEGUN

PLANNED_FOR = ("network", "width", "parameters", "fast", "device", "inference_dtype")  # what --plan depends on
# Another value of these makes another world.
FIXED = (
    *("environment", "frame_stack", "frame_stack_stride", "rate_hz"),
    *("observation", "image_size", "normalise_observations"),
    *("sticky_actions", "noop_starts", "frame_skip", "press_frames", "encounters", "episode_ticks"),
)
# Of these, other units than the spans of the replay are summed up in; of γ too where spans are discounted within.
UNITS = ("reward_clipping", "discount_per")
ALONE = {
    "learners_on": "environment",
    "snapshot_dtype": "float32",
}  # what a run that leaves its cluster leaves behind with it
# In virtual time a run goes on as if nothing had happened: nothing changes but where it ends, and what it makes no difference to.
LIMITS = ("duration_s", "max_ticks", "max_episodes")
FREE = (*LIMITS, "checkpoint_every_s", "checkpoint_keep", "run_dir", "cores", "display", "trace_seconds")


class NoWayOnError(UserError):
    """There is nothing that a run could ever go on from: only a new one can take its place."""


class AtItsEndError(UserError):
    """The run has reached its limits."""


class Learned(NamedTuple):
    """What a session without learners passes on."""

    leaves: dict[str, list[np.ndarray]]  # of target and optimiser
    target_version: int


class Past(NamedTuple):
    """A checkpoint that a run goes on from."""

    checkpoint: pathlib.Path
    manifest: dict
    uncovered: tuple[pathlib.Path, ...] = ()  # newer ones, which the run's records fall short of

    @property
    def tick(self) -> int:
        return self.manifest["tick"]

    @property
    def recorded(self) -> dict[str, int] | None:
        """In virtual time, how many records of each kind there were."""
        return self.manifest.get("recorded")

    @property
    def why_not_exact(self) -> str | None:
        """Why a run in virtual time does not go on to the byte as if it had never stopped; None: it does."""
        if self.manifest["resumes_at_new_episode"]:
            return "its world cannot be saved, and begins a new episode"
        return None if self.manifest["settings"]["checkpoint_replay"] else "its replay was not saved, and begins anew"

    def learning_state(self) -> Learned | None:
        """What is in it besides the parameters, if somebody has ever learned."""
        stored = store.read_leaves(self.checkpoint)
        if "optimiser" not in stored:
            return None
        return Learned(
            {name: stored[name] for name in ("target", "optimiser")},
            self.manifest["target_version"],
        )


def open_run(run: pathlib.Path, overrides: dict) -> tuple[Past, Settings]:
    """The newest checkpoint that a run's records cover, and its settings with some overridden.

    Raises UserError, and NoWayOnError if that will always be so.
    """
    found, uncovered = store.whole(run), []
    if not found:
        raise NoWayOnError(f"--run_dir={run} holds no checkpoint to go on from: start a new run, in another folder")
    try:
        manifest = store.read_manifest(found[-1])
    except store.FormatError as error:  # looked at first, since the records of such a run may lack columns
        raise NoWayOnError(str(error)) from None
    records = _read_back(run)
    while not _is_covered(records, manifest):
        uncovered.append(found.pop())
        if not found:
            raise NoWayOnError(f"--run_dir={run}: its records end before its oldest checkpoint; start a new run")
        manifest = store.read_manifest(found[-1])
    checkpoint = found[-1]
    try:
        before = Settings(**manifest["settings"])
    except TypeError as error:
        raise NoWayOnError(f"checkpoint {checkpoint} has settings that this version does not know ({error})") from None
    for name in (*FIXED, *UNITS, *(["gamma"] if before.discount_per == "tick" else [])):
        if name in overrides and overrides[name] != getattr(before, name):
            raise UserError(
                f"--{name}={overrides[name]}: the checkpoint {checkpoint} has {getattr(before, name)}; leave it out, or "
                "start a new run"
            )
    if before.is_virtual:
        _check_virtual(before, overrides)
    alone = ALONE if overrides.get("cluster") == "off" else {}
    settings = dataclasses.replace(before, **{"video": None, **alone, **overrides, "run_dir": str(run)})
    if "plan" not in overrides and any(getattr(settings, name) != getattr(before, name) for name in PLANNED_FOR):
        settings = dataclasses.replace(settings, plan=None)  # it is kept otherwise, whatever has been measured since
    return Past(checkpoint, manifest, tuple(uncovered)), settings


def _check_virtual(before: Settings, overrides: dict) -> None:
    for name, value in overrides.items():
        if name not in FREE and value != getattr(before, name):
            raise UserError(
                f"--{name}={value}: a run in virtual time goes on as it was, with {getattr(before, name)}; what may change is "
                f"{', '.join(FREE)}"
            )


def check_goes_on(settings: Settings, rate_hz: float, ticks: np.ndarray) -> None:
    """Raises AtItsEndError if a run that is to be resumed has reached its limits already. Args: ticks: recorded so far."""
    so_far = (summaries.played_s(ticks), int(ticks["tick"][-1]) + 1, len(summaries.episode_returns(ticks)))
    for name, reached in zip(LIMITS, so_far, strict=True):
        limit = getattr(settings, name)
        if limit is not None and reached >= limit - 1 / rate_hz:
            raise AtItsEndError(
                f"the run has reached its --{name}={limit:g}: raise it to go on, e.g. --{name}={2 * limit:g}"
            )


def _is_covered(records: dict[str, np.ndarray], manifest: dict) -> bool:
    """Whether all that had been recorded by the time of the checkpoint still is: a power cut may shorten the .raw files.

    They are written in order, so what came last tells: the checkpoint's tick, the decision that acted last until then, and the
    last update but those that as many learners may have died with.
    """
    if "recorded" in manifest:
        return all(len(records[kind]) >= count for kind, count in manifest["recorded"].items())
    ticks, updates = records["ticks"][records["ticks"]["tick"] <= manifest["tick"]], records["updates"]
    if not len(ticks) or ticks["tick"][-1] != manifest["tick"]:
        return False
    acted = ticks["tick"][np.diff(ticks["decisions"], prepend=0) > 0][-1:]
    made = int(updates["applied_version"].max(initial=-1)) + 1
    return bool(np.isin(acted, records["decisions"]["apply_tick"]).all()) and (
        not manifest["learners"] or made >= manifest["updates"] - manifest["learners"]
    )


def forget_uncovered(past: Past) -> None:
    """Removes the checkpoints of a future that is played anew. Once the run goes on."""
    for checkpoint in past.uncovered:
        store.remove(checkpoint)


def check_fits(past: Past, assembly) -> None:
    """Raises UserError if the checkpoint is one of another network or another game than the run has."""
    manifest, spec = past.manifest, assembly.spec
    world = [list(spec.observation_shape), spec.observation_dtype, spec.actions]
    actions_before = actions.from_plain(manifest["actions"])
    if [manifest["observation_shape"], manifest["observation_dtype"], actions_before] != world:
        raise UserError(f"checkpoint {past.checkpoint} is one of another game: {manifest['environment']}")
    before, now = Settings(**manifest["settings"]), assembly.settings
    if any(getattr(before, name) != getattr(now, name) for name in ("pending", "told", "pending_encoding", "reflex")):
        raise UserError(
            f"checkpoint {past.checkpoint} is of an agent that is told other actions: --pending={before.pending}, "
            f"--pending_length={before.told}, --pending_encoding={before.pending_encoding}, "
            f"--reflex={str(before.reflex).lower()}; leave them so"
        )
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
      publish: (parameters, optimiser leaves, version=, target=, prepared=) -> None, puts a training state on the board.

    Raises:
      UserError: the checkpoint is damaged.
    """
    manifest, learns = past.manifest, bool(assembly.dimensions.learners)
    leaves, arrays = store.read_leaves(past.checkpoint), store.read_arrays(past.checkpoint)
    reached = replay.read(past.checkpoint, manifest, arrays, board)
    version = manifest["updates"]
    parameters, prepared = leaves["parameters"], leaves.get("prepared", [])
    if prepared:  # bfloat16 among them comes back as bytes
        prepared = [leaf.view(kind.dtype) for leaf, kind in zip(prepared, assembly.prepared_leaves, strict=True)]
    if learns and "optimiser" in leaves:
        # Twice: the first puts the target network in its slot, the second the rest.
        publish(leaves["target"], leaves["optimiser"], version=manifest["target_version"], target=True)
        publish(parameters, leaves["optimiser"], version=version, target=False, prepared=prepared)
    else:
        blank = [np.zeros(leaf.shape, leaf.dtype) for leaf in assembly.optimiser_leaves]
        publish(parameters, blank, version=version, target=learns, prepared=prepared)
    kept_replay = manifest["settings"]["checkpoint_replay"]
    board.due_at[0] = manifest["due_at"] if kept_replay else NOT_BEGUN
    per, before = assembly.settings.learn_unit, Settings(**manifest["settings"]).learn_unit
    # Nothing is owed for the time without learners; and what was counted in ticks says nothing of decisions.
    if board.due_at[0] != NOT_BEGUN and not (manifest["learners"] and before == per):
        board.due_at[0] = board.observations.count(per) + 1
    if kept_replay and board.priorities.size and "priorities" in arrays:
        _restore_priorities(board, arrays["priorities"], manifest, reached.acts)
    shown = arrays.get("demonstration_priorities", ())
    if len(shown) and 2 * len(shown) == board.demonstration_priorities.size:  # other demonstrations begin anew
        SumTree(board.demonstration_priorities).set(np.arange(len(shown)), shown)
        board.demonstrations_entered[0] = manifest["demonstrations_entered"]
        board.largest_priority[0] = manifest["largest_priority"]
    same_stagger = manifest["settings"]["stagger"] == assembly.settings.stagger
    if same_stagger and assembly.inference_workers == manifest["inference_workers"]:
        board.stagger[:] = arrays["stagger"]
    workers = manifest["inference_workers"]
    _restore_random(board.random_states[: assembly.inference_workers], arrays["random_states"][:workers])
    _restore_random(board.random_states[assembly.inference_workers :], arrays["random_states"][workers:])
    _restore_environment(past, board, board.observations)


def _restore_random(places: np.ndarray, states: np.ndarray) -> None:
    both = min(len(places), len(states))
    places[:both] = states[:both]


def _restore_priorities(board, before: np.ndarray, manifest: dict, end: int) -> None:
    """Args: before: leaves of the tree there was, that of an act at its number modulo the rows there were. end: the next act."""
    count, count_before = len(board.act_rows), manifest["act_rows"]
    if "recorded" in manifest and count == count_before:  # those not cleared yet too
        SumTree(board.priorities).set(np.arange(count), before[:count])
    else:
        # Learners may have come a little further than the environment's state, by less than the brim of a ring.
        keys = np.arange(max(int(board.act_first[0]), end + BRIM - min(count, count_before)), end)
        SumTree(board.priorities).set(keys % count, before[keys % count_before])
    board.largest_priority[0] = manifest["largest_priority"]
    board.priorities_entered[0] = min(manifest["priorities_entered"], end)


def _restore_environment(past: Past, board, observations: Observations) -> None:
    """Its state; or, of one that cannot be saved, the word that its last episode was cut off."""
    state = (past.checkpoint / "environment").read_bytes()
    SavedState(board).put(past.tick, state)
    if past.manifest["resumes_at_new_episode"]:
        last = observations.ticks.rows[past.tick % observations.capacity : past.tick % observations.capacity + 1]
        last["truncated"] |= ~last["terminated"]


def _read_back(run: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        return read_back(run)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"--run_dir={run}: its records cannot be read ({' '.join(str(error).split())})") from None


def read_records(run: pathlib.Path, past: Past, now_ns: int | None = None) -> dict[str, np.ndarray]:
    """What the run had recorded by the time of the checkpoint; what came after it will be played anew.

    Args: now_ns: by the system's clock, which records do not outrun; None in virtual time.

    Raises UserError if the records are damaged or missing.
    """
    records = cut(_read_back(run), past)
    if not len(records["ticks"]) or records["ticks"]["tick"][-1] != past.tick:
        raise UserError(f"--run_dir={run}: it has no record of tick {past.tick}, at which its checkpoint was made")
    newest = int(records["ticks"]["boundary_ns"][-1])
    if now_ns is not None and newest > now_ns:  # the machine has started anew since, and its clock with it
        _shift(records, now_ns - newest - 1)
    return records


def _shift(records: dict[str, np.ndarray], by_ns: int) -> None:
    for rows in (records["ticks"], records["decisions"]["decision"], records["updates"]):
        for name in rows.dtype.names:
            if name.endswith("_ns") and name != "lateness_ns":
                rows[name] += by_ns


def cut(records: dict[str, np.ndarray], past: Past) -> dict[str, np.ndarray]:
    """The records without those of after the checkpoint."""
    if past.recorded:
        records = {kind: rows[: past.recorded[kind]] for kind, rows in records.items()}
    ticks, decisions, updates = (records[kind] for kind in ("ticks", "decisions", "updates"))
    ticks = ticks[ticks["tick"] <= past.tick]
    if past.manifest["resumes_at_new_episode"] and len(ticks):
        ticks["truncated"][-1] |= ~ticks["terminated"][-1]
    if past.recorded:
        return {"ticks": ticks, "decisions": decisions, "updates": updates}
    known = (decisions["decision"]["obs_tick"] <= past.tick) & (decisions["apply_tick"] <= past.tick)
    return {
        "ticks": ticks,
        "decisions": decisions[known],
        "updates": updates[updates["applied_version"] < past.manifest["updates"]],
    }

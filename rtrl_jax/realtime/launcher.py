"""From settings to a run by the wall clock: the board filled, the folder made or gone on with, the supervisor set to work."""

import dataclasses
import os
import pathlib
import time
from contextlib import nullcontext
from functools import partial

from rtrl_jax import heap
from rtrl_jax.board import segment
from rtrl_jax.board.layout import size
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.cluster.crews import Crews, listening
from rtrl_jax.cluster.joining import Cluster, Machine, joined
from rtrl_jax.cluster.placement import spread
from rtrl_jax.core import folder as folders
from rtrl_jax.core import preparation, sizing
from rtrl_jax.core.assembly import (
    Assembly,
    assemble,
    begin_board,
    by_cores,
    commit,
    cores_beside,
    crowding,
    learners_that_fit,
)
from rtrl_jax.core.model import Model
from rtrl_jax.core.signals import signals_to
from rtrl_jax.errors import UserError
from rtrl_jax.page import listener
from rtrl_jax.realtime import measure
from rtrl_jax.realtime.supervisor import Supervisor, keep_off_inference
from rtrl_jax.settings import Settings
from rtrl_jax.settings_forms import as_flagfile
from rtrl_jax.telemetry import summary as summaries
from rtrl_jax.telemetry.files import write_text
from rtrl_jax.telemetry.terminal import Display


def launch(settings: Settings, began: float, past: restoring.Past | None = None) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`.

    Args:
      began: when the user asked for it, time.monotonic().
      past: the checkpoint that it goes on from, in the folder that the settings name.
    """
    heap.keep_little()  # before there are threads: this process copies a checkpoint now and then, and computes nothing
    spec = preparation.probe(settings)
    remarks: list[str] = []
    model = preparation.prepare(settings, spec, remarks.append)
    settings = model.settings
    folder = pathlib.Path(settings.run_dir) if past else folders.choose(settings.run_dir, settings.environment)
    earlier = restoring.read_records(folder, past, time.monotonic_ns()) if past else None
    if past:
        restoring.check_goes_on(settings, spec.rate_hz, earlier["ticks"])

    emulated = f", inference emulated: {settings.emulated_inference_ms} ms" if settings.emulated_inference_ms else ""
    with (
        Display(settings.environment + emulated, settings.display == "auto") as display,
        listener.opened(settings.page, settings.page_host) as page,
        joined(settings.cluster_address) as cluster,
    ):
        assembly, crews = _assemble(model, display, past.manifest["session"] + 1 if past else 0, cluster)
        if past:
            restoring.check_fits(past, assembly)
        else:
            folders.make(folder)
        try:
            descriptor, where = segment.create(size(assembly.dimensions), folder)
        except Exception:
            if not past:
                folder.rmdir()
            raise
        try:
            board = begin_board(assembly, model.first_state(), segment.attach(descriptor))
            with preparation.writing_to(folder), nullcontext() if past else store.locked(folder):
                if past:
                    restoring.restore(past, assembly, board, partial(commit, board, assembly))
                    board.played_ns[0] = round(summaries.played_s(earlier["ticks"]) * 1e9)
                    if past.uncovered:
                        display.say(
                            f"the records end before {len(past.uncovered)} newer checkpoint(s), as after a power cut: "
                            "going on from the one before"
                        )
                    restoring.forget_uncovered(past)
                    display.say(f"going on at tick {past.tick + 1} with {past.manifest['updates']} updates made")
                if where == str(folder):
                    display.say(f"shared memory is too small: the board is a file in {folder} instead")
                for remark in remarks:
                    display.say(remark)
                if why_not := spec.why_not_saved:
                    display.say(f"this world cannot be saved, so a resumed run begins a new episode: {why_not}")
                if warning := crowding(assembly):
                    display.say(f"warning: {warning}")
                write_text(folder / "flags.txt", as_flagfile(settings))
                if page:
                    display.say(f"the run can be watched at {page.url}")
                display.say(f"starting {len(assembly.processes)} processes; the run is in {folder}")
                for line in crews.table(assembly) if crews else ():
                    display.say(line)
                with keep_off_inference(assembly), listening(cluster) as door:
                    supervisor = Supervisor(
                        assembly, board, descriptor, folder, display, page, past, earlier, crews, door
                    )
                    with signals_to(supervisor.stop):
                        summary = supervisor.play(began)
        finally:
            os.close(descriptor)
    if supervisor.fatal:
        raise RuntimeError(f"{supervisor.fatal}; what was recorded is in {folder}")
    return summary


def _assemble(model: Model, display: Display, session: int, cluster: Cluster | None) -> tuple[Assembly, Crews | None]:
    settings = model.settings
    workers, learners = settings.inference_worker_count, settings.learner_count
    if workers is None:
        display.waiting("Measuring the inference time …")
        workers = measure.enough_workers(model)
        display.say(f"{workers} inference worker{'s' * (workers != 1)} will do")
    if learners is None:
        display.waiting("Measuring an update …")
        wanted = measure.enough_learners(model)
        beside = workers if cluster is None else 0  # workers that have no core here go elsewhere
        there = learners_machine(settings, cluster, wanted)
        most = learners_that_fit(settings, beside) if there is None else there.cores
        learners = wanted if settings.learning == "parallel" else min(wanted, most)
        room = "" if learners == wanted else f", but these cores have room for {learners} only"
        will = f"{wanted} learner{'s' * (wanted != 1)} will keep up with --learn_every={settings.learn_every}"
        display.say(will + room)
    crews = _crews(settings, workers, learners, display, cluster) if cluster else None
    assembly = assemble(
        model,
        by_cores(settings, workers, learners, *([crews.sizes, crews.learners] if crews else [])),
        inference_workers=workers,
        learner_workers=learners,
        **sizing.kept(settings, model.spec)._asdict(),
        session=session,
    )
    return dataclasses.replace(assembly, machines=crews.machines if crews else ()), crews


def _crews(settings: Settings, workers: int, learners: int, display: Display, cluster: Cluster) -> Crews | None:
    share, processes = settings.workers_per_process, min(1, learners) if settings.learning == "parallel" else learners
    machine = learners_machine(settings, cluster, processes)
    learning = [processes if other == machine else 0 for other in cluster.others]
    cores = [other.cores - there for other, there in zip(cluster.others, learning, strict=True)]
    if min(cores, default=0) < 0:
        raise UserError(f"machine {machine} has no {processes} cores for learners: give fewer --learner_workers")
    sizes = spread(workers, share, cores_beside(settings, 0 if machine else learners), cores)
    if not any(sizes) and not machine:
        display.say("all workers have a core on this machine: no other is used")
        return None
    display.waiting("Placing workers on other machines …")
    return Crews(cluster, sizes, share, learning)


def learners_machine(settings: Settings, cluster: Cluster | None, learners: int) -> Machine | None:
    """Where learners go, as --learners_on says; None: they stay on this machine. Raises UserError."""
    where = settings.learners_on
    if cluster is None or not learners or where == "environment":
        return None
    if where != "auto":
        machine = cluster.named(where)
        return None if machine == cluster.here else machine
    fits_here = len(settings.core_list()) > learners
    return None if fits_here else next(iter(cluster.others), None)

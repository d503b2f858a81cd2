"""TensorBoard events of a run, without TensorFlow."""

import pathlib

import tensorboardX

from rtrl_jax.telemetry.live import Window


class Events:
    """Scalars against the tick number."""

    def __init__(self, folder: pathlib.Path, goes_on_at: int | None = None, episodes: int = 0):
        """Args: goes_on_at: tick from which on a resumed run replaces what is there. episodes: finished before it."""
        self._writer = tensorboardX.SummaryWriter(str(folder), purge_step=goes_on_at, flush_secs=5, write_to_disk=True)
        self._episodes = episodes

    def write(self, window: Window) -> None:
        """Writes the window's figures, and each return since the last call."""
        figures = window.figures()
        scalars = {
            "time/rate_hz": figures["measured_rate_hz"],
            "time/lateness_p99_ms": figures["lateness_ms"]["p99"],
            "acting/inaction": figures["inaction"],
            "acting/delay_ticks": figures["delay"]["mean"],
            "acting/tau_mean_ms": figures["inference"]["tau_mean_ms"],
            "acting/greedy": figures["inference"]["greedy"],
            "learning/updates_per_s": figures["learning"]["updates_per_s"],
            "learning/loss": figures["learning"]["loss"],
        }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, window.ticks)
        for number in range(self._episodes, len(window.returns)):
            self._writer.add_scalar("return/episode", window.returns[number], window.ends[number])
        self._episodes = len(window.returns)

    def close(self) -> None:
        self._writer.close()

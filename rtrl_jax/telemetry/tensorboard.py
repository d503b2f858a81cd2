"""TensorBoard events of a run, without TensorFlow."""

import pathlib

import tensorboardX

from rtrl_jax.telemetry.live import Window


class Events:
    """Scalars against the tick number."""

    def __init__(self, folder: pathlib.Path):
        self._writer = tensorboardX.SummaryWriter(str(folder), flush_secs=5, write_to_disk=True)
        self._episodes = 0

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
            self._writer.add_scalar("return/episode", window.returns[number], number)
        self._episodes = len(window.returns)

    def close(self) -> None:
        self._writer.close()

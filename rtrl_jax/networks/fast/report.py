"""A plan as a table: each convolution, its shape, how it is computed, and what was measured."""

from rich.table import Table

from rtrl_jax.networks.fast.plan import Plan, shapes
from rtrl_jax.networks.resnet import ResNet

PASSES = ("acting", "learning: itself", "its input's gradient", "its filters' gradient")


def table(network: ResNet, observation_shape, plan: Plan, times: list | None = None) -> Table:
    """Args: times: of `measure`; those of the ways not taken are in brackets."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("layers", "convolution", *PASSES):
        drawn.add_column(heading)
    rows = {}  # layers that are alike share one
    for layer, shape in enumerate(shapes(network, observation_shape)):
        kind = f"{shape.size}x{shape.size}x{shape.inputs} to {shape.outputs}" + ("" if shape.padded else ", valid")
        chosen = (plan.acting[layer], *plan.learning[layer])
        measured = times[layer] if times else [{}] * len(PASSES)
        cells = (kind, *[_cell(*pair) for pair in zip(chosen, measured, strict=True)])
        rows.setdefault(cells, []).append(layer)
    for cells, layers in rows.items():
        drawn.add_row(f"{layers[0]}-{layers[-1]}" if len(layers) > 1 else str(layers[0]), *cells)
    return drawn


def _cell(way: str, times: dict[str, float]) -> str:
    if way not in times:
        return way
    others = sorted((ms, other) for other, ms in times.items() if other != way)
    return "\n".join(
        [f"[bold]{way} {times[way]:.3g}[/bold]", *[f"[dim]{other} {ms:.3g}[/dim]" for ms, other in others]]
    )

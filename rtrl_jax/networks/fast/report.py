"""A plan as lines of text: each convolution, its shape and how it is computed."""

from rtrl_jax.networks.fast.plan import Plan, shapes
from rtrl_jax.networks.resnet import ResNet


def lines(network: ResNet, observation_shape, plan: Plan, times: list[dict[str, float]] | None = None) -> list[str]:
    """Args: times: of `measure`, milliseconds of each way."""
    found = shapes(network, observation_shape)
    text = ["layer  input            acting   learning: itself, its input's gradient, its filters'"]
    for layer, (shape, acting, learning) in enumerate(zip(found, plan.acting, plan.learning, strict=True)):
        kind = f"{shape.size}x{shape.size}x{shape.inputs} to {shape.outputs}"
        text.append(f"{layer:5}  {kind:<16} {acting:<8} {', '.join(learning)}")
        if times and times[layer]:
            text.append("       ms: " + ", ".join(f"{way} {ms:.3f}" for way, ms in times[layer].items()))
    return text

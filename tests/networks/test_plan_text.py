"""Plans as the text of a flag: written and read again, and what is no plan for a network."""

import pytest

from rtrl_jax import networks
from rtrl_jax.networks import fast
from rtrl_jax.networks.fast import plan_text
from rtrl_jax.networks.fast.plan import Plan

SHAPE = (84, 84, 1)


def network(name="resnet15", width=1.0):
    return networks.build(name, 6, width)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize(("name", "width"), [("resnet15", 1 / 16), ("resnet15", 1), ("resnet15", 98), ("resnet30", 7)])
def test_every_plan_is_read_as_it_was_written(name, width, dtype):
    made = network(name, width)
    chosen = fast.by_rule(made, SHAPE, dtype)
    assert plan_text.read(plan_text.write(chosen), made, SHAPE, dtype) == chosen


def test_the_text_is_short():
    assert plan_text.write(fast.by_rule(network(width=1 / 16), SHAPE)) == "planes:15"
    mixed = Plan(("shifts", *("F4",) * 13, "F2"), (("shifts", "xla", "xla"), *(("F4",) * 3,) * 14))
    assert plan_text.write(mixed) == "shifts/shifts/xla/xla,F4:13,F2/F4/F4/F4"
    assert plan_text.read(plan_text.write(mixed), network(), SHAPE) == mixed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("F4:14", "for 14 convolutions, and this network has 15"),
        ("magic:15", "no way to convolve is called 'magic'"),
        ("F4/F4:15", "look like"),
        ("F4:15:", "look like"),
        ("F4:x", "look like"),
        ("F4:99999999999", "look like"),
        ("", "no way to convolve"),
        ("xla,planes:14", "for all convolutions or for none"),
        ("planes:15", "at most 4 filters"),
        ("shifts/shifts/xla/xla:15", "convolution 1 has 16"),
        ("xla/xla/xla/shifts,F4:14", "filters' gradients"),
        ("xla,direct:14", "direct and fused for acting alone"),
    ],
)
def test_what_is_no_plan_for_the_network(text, says):
    with pytest.raises(ValueError, match=says):
        plan_text.read(text, network(), SHAPE)


def test_products_of_int8_are_not_winograds():
    with pytest.raises(ValueError, match="int8"):
        plan_text.read("F4:15", network(), SHAPE, "int8")

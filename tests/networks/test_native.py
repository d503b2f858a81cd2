"""Convolutions of our own are exact for the numbers they multiply, at every border and remainder; and plans do without them."""

import jax
import ml_dtypes
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import policies
from rtrl_jax.networks import fast, parameters
from rtrl_jax.networks.fast import convolution, native, plan
from rtrl_jax.pending import Pending

DTYPES = ("float32", "bfloat16", "int8")
EXACT = 1e-5  # relative: only the order of additions differs
SHAPE = (84, 84, 1)
# [rows, columns, batch, inputs], outputs: what a tile, a group of inputs and a vector of outputs leave over, and one pixel.
CASES = [
    ((3, 3, 1, 1), 1),
    ((5, 3, 1, 2), 3),
    ((4, 16, 2, 3), 17),
    ((9, 9, 1, 5), 16),
    ((7, 7, 1, 32), 32),
    ((6, 31, 1, 16), 33),
    ((10, 17, 3, 31), 48),
    ((3, 46, 1, 33), 31),
    ((8, 8, 1, 63), 8),
    ((5, 15, 1, 65), 64),
    ((4, 29, 1, 130), 20),
]


@pytest.fixture(params=DTYPES)
def dtype(request):
    if not native.is_supported(request.param):
        pytest.skip(f"no compiler, or a processor that does not multiply {request.param}")
    return request.param


@pytest.fixture
def forgotten():
    """What was compiled is looked for anew, before and after."""
    native._library.cache_clear()
    yield
    native._library.cache_clear()


@pytest.fixture
def without_compiler(forgotten, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def shortened(x, kernel, dtype):
    """The numbers that are multiplied, and the scale of their products."""
    if dtype == "float32":
        return x, kernel, 1
    if dtype == "bfloat16":
        return *(a.astype(ml_dtypes.bfloat16).astype(np.float32) for a in (x, kernel)), 1
    axes = (0, 1, 3) if x.ndim == 4 else None  # each image has a scale of its own
    most = np.abs(x).max(axes, keepdims=True)
    steps = np.where((x >= 0).all(axes, keepdims=True), np.float32(255), np.float32(127))
    of_kernel = np.abs(kernel).max(tuple(range(kernel.ndim - 1))) * np.float32(1 / 127)
    return np.rint(x * (steps / most)), np.rint(kernel / of_kernel), most / steps * of_kernel


def convolved(x, kernel, padded):
    x = x.astype(np.float64)
    x = np.pad(x, ((1, 1), (1, 1), (0, 0), (0, 0))) if padded else x
    rows, columns = x.shape[0] - 2, x.shape[1] - 2
    return sum(x[i : i + rows, j : j + columns] @ kernel[i, j].astype(np.float64) for i in range(3) for j in range(3))


@pytest.mark.parametrize(("of", "outputs"), CASES)
@pytest.mark.parametrize("padded", [True, False])
def test_every_border_and_remainder(dtype, of, outputs, padded):
    x, kernel = bordered(of), draw(1, 3, 3, of[3], outputs)
    packed = native.pack(kernel, dtype)
    traced = jax.jit(native.pack, static_argnums=1)(kernel, dtype)
    assert packed.tobytes() == np.asarray(traced).tobytes()
    check(convolution.DIRECT, packed, x, kernel, padded, dtype, EXACT)
    shape = convolved(x, kernel, padded).shape
    assert native.convolve(x, packed, padded, False, outputs, relu=False).shape == shape


@pytest.mark.parametrize(("of", "outputs"), [*CASES, ((18, 22, 2, 16), 16), ((40, 13, 1, 24), 40)])
@pytest.mark.parametrize("padded", [True, False])
def test_winograds_way_at_every_border_and_remainder(of, outputs, padded):
    if not native.is_supported("float32"):
        pytest.skip("no compiler")
    x, kernel = bordered(of), draw(1, 3, 3, of[3], outputs)
    prepared = convolution.prepare(kernel, convolution.FUSED)
    check(convolution.FUSED, prepared, x, kernel, padded, "float32", 10 * EXACT)


def bordered(of):
    """An image whose borders count."""
    x = draw(0, *of)
    x[0], x[-1], x[:, 0], x[:, -1] = (2 * edge for edge in (x[0], x[-1], x[:, 0], x[:, -1]))
    return x


def check(way, prepared, x, kernel, padded, dtype, most):
    """Both forms that networks use: of a rectified image with bias and relu, and of the image with bias and residual."""
    bias = draw(2, kernel.shape[3])
    for rectify in (True, False):
        taken, filters, scale = shortened(np.maximum(x, 0) if rectify else x, kernel, dtype)
        products = convolved(taken, filters, padded) * scale
        residual = draw(3, *products.shape)
        after, others = (convolution.biased_relu, (bias,)) if rectify else (convolution.add_all, (bias, residual))
        wanted = np.maximum(products + bias, 0) if rectify else products + bias + residual
        how = {"rectify": rectify, "outputs": kernel.shape[3]}
        got = convolution.convolve(x, prepared, padded, way, after, *others, **how)
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() < most * np.abs(products).max()


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (16, 32), (67, 33), (1030, 40)])
def test_dense_layers(dtype, inputs, outputs):
    x, kernel, bias = draw(0, 3, inputs), draw(1, inputs, outputs), draw(2, outputs)
    x[:, 0] = -np.abs(x[:, 0])  # so that none is all positive
    for row, one in zip(x, np.asarray(native.dense(x, native.pack(kernel, dtype), bias)), strict=True):
        taken, filters, scale = shortened(row, kernel, dtype)
        wanted = (taken.astype(np.float64) @ filters) * scale + bias
        assert np.abs(one - wanted).max() < EXACT * max(1, np.abs(wanted).max())


def test_an_image_of_zeros(dtype):
    bias = draw(0, 3)
    packed = native.pack(np.zeros((3, 3, 5, 3), np.float32), dtype)
    for rectify in (True, False):
        got = native.convolve(np.zeros((4, 4, 1, 5), np.float32), packed, True, rectify, 3, bias, relu=False)
        np.testing.assert_array_equal(got, np.broadcast_to(bias, got.shape))


@pytest.mark.parametrize(
    ("name", "width", "way"), [("resnet15", 1, "direct"), ("resnet30", 1 / 8, "direct"), ("resnet15", 1, "fused")]
)
def test_whole_networks(dtype, name, width, way):
    if way == "fused" and dtype != "float32":
        pytest.skip("it multiplies float32")
    network = networks.build(name, 6, width)
    values = parameters.initialise(parameters.shapes(network, SHAPE, "uint8"), 3)
    rule = fast.by_rule(network, SHAPE)
    chosen = rule._replace(acting=(way,) * len(rule.acting), dtype=dtype)
    prepared = fast.prepare(fast.kernels(values, chosen), chosen)
    act = jax.jit(fast.acting(network, chosen))
    frames = np.random.default_rng(0).integers(256, size=(2, *SHAPE), dtype=np.uint8)
    wanted = np.asarray(network.apply({"params": values}, frames))
    got = [act({"params": fast.with_prepared(values, prepared, chosen)}, frame[None])[0] for frame in frames]
    error = np.abs(np.stack(got) - wanted).max() / np.abs(wanted).max()
    assert error < {"float32": 1e-4, "bfloat16": 0.03, "int8": 0.1}[dtype]
    assert dtype == "float32" or error > 1e-5, "nothing was shortened"


def test_without_a_compiler_all_is_as_it_was(without_compiler, tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path))
    assert not native.is_supported("float32")
    assert not list(tmp_path.glob("native/*"))
    for width, dtype in ((0.5, "float32"), (1, "bfloat16"), (1, "int8")):
        acting = fast.by_rule(networks.build("resnet15", 6, width), SHAPE, dtype).acting
        assert not {"direct", "fused"} & {*acting}
    network = networks.build("resnet15", 6, 0.25)
    with pytest.raises(ValueError, match="need a C"):
        fast.plan_text.read("direct/F4/F4/F4:15", network, SHAPE)
    rule = fast.by_rule(network, SHAPE)
    plan.keep(rule._replace(acting=("direct",) * 15), [[{}] * 4] * 15, network, SHAPE, 16)  # of when there was one
    assert fast.choose(network, SHAPE, 16) == rule
    with pytest.raises(UserError, match="lacks one of them"):
        native._registered.__wrapped__("float32")
    settings = {"environment": "gameboy/stacks", "network": "resnet15", "width": 0.25, "plan": "direct/F4/F4/F4:15"}
    manifest = {"settings": settings, "network": {"name": "resnet15", "width": 0.25}}
    model = policies.model_of(manifest, Spec(SHAPE, "uint8", 6, 0, 60.0, 1e-3))  # of a run where there was one
    assert model.fast.acting == rule.acting


def test_a_processor_does_what_it_has_instructions_for(monkeypatch):
    most = {"old": set(), "avx2": {32, 224}, "avx2 avx512f": {32}}
    for flags, fused in most.items():
        monkeypatch.setattr(native, "processor", lambda flags=flags: {"flags": f"fpu {flags}"})
        monkeypatch.setattr(native, "_library", lambda dtype: "compiled")
        assert native.is_supported("float32") == (flags != "old")
        assert not any(native.is_supported(dtype) for dtype in ("bfloat16", "int8"))
        ways = {inputs: plan._acting(plan.Shape(20, inputs, inputs, True), "float32") for inputs in (32, 224, 464)}
        assert {inputs for inputs, way in ways.items() if way == "fused"} == fused


def test_a_cache_that_cannot_be_is_as_good_as_no_compiler(forgotten, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path / "file" / "cache"))
    assert native._library("float32") is None


def test_a_library_that_cannot_be_loaded_is_as_good_as_none(forgotten, tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path))
    monkeypatch.setattr(
        native, "_compile", lambda compiler, dtype, path: (path.parent.mkdir(), path.write_text("no library"))
    )
    assert native._library("float32") is None


def test_a_late_head_is_not_shortened_however_much_it_is_told(dtype):
    heads = networks.Heads(pending=Pending("late", 64, "onehot", 17))
    network = networks.build("resnet15", 17, 1, heads)
    shapes = parameters.shapes(network, SHAPE, "uint8")
    assert any(len(leaf.shape) == 2 and leaf.shape[0] > 1024 for leaf in jax.tree.leaves(shapes["hidden"]))
    chosen = fast.by_rule(network, SHAPE)._replace(acting=("direct",) * 15, dtype=dtype)
    kernels = fast.kernels(parameters.initialise(shapes, 0), chosen)
    assert len(kernels) == len(chosen.prepared) + (dtype != "float32"), "and the trunk's own"


def test_a_compiler_that_fails_is_as_good_as_none(forgotten, tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "false")
    assert native._library("float32") is None
    assert not list((tmp_path / "native").iterdir())

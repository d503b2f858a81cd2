"""A way to convolve of our own, for acting: `native.cpp`, compiled on this machine when a plan first wants it.

It multiplies float32, bfloat16 or int8; XLA's CPU compiler uses no instructions for the latter two. int8 has a scale for each
output's filters, made when a snapshot is published, and one for each image, found in passing: so there is nothing to calibrate,
and nothing that could be out of date when the parameters change.
"""

import ctypes
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.errors import UserError
from rtrl_jax.networks.fast.machine import cache_folder, processor

SOURCE = pathlib.Path(__file__).with_suffix(".cpp")
COMPILERS = ("c++", "g++", "clang++")
OPTIONS = ("-O3", "-std=c++17", "-march=native", "-ffp-contract=fast", "-fPIC", "-shared", "-w")
LANES = 16  # outputs side by side, as in the source
IN_WORD = {"float32": 1, "bfloat16": 2, "int8": 4}  # numbers of a type in 32 bits
INSTRUCTIONS = {  # as /proc/cpuinfo has them, the best first
    "float32": ("avx512f", "avx2"),
    "bfloat16": ("avx512_bf16",),
    "int8": ("avx512_vnni",),
}
LARGEST = 127  # of int8
SECONDS = 300  # for the compiler, on a machine that does much else


def instructions(dtype: str) -> str | None:
    """Those with which this processor multiplies that type."""
    has = processor().get("flags", "").split()
    return next((name for name in INSTRUCTIONS[dtype] if name in has), None)


def is_supported(dtype: str) -> bool:
    """Whether this processor multiplies that type, and there is a compiler here."""
    return instructions(dtype) is not None and _library(dtype) is not None


def pack(kernel, dtype: str):
    """The filters [3, 3, inputs, outputs], or a dense layer's [inputs, outputs], as the source wants them; of numpy if they are.

    Returns:
      [outputs / 16, 9 or 1, inputs / n, 16, n] of that type, where n of them are 32 bits and what is missing are zeros. int8:
      one row of bytes, in which each output's scale and the sum of its filters come first, float32.
    """
    numpy = np if isinstance(kernel, np.ndarray) else jnp
    inputs, outputs = kernel.shape[-2:]
    places = kernel.size // (inputs * outputs)
    in_word = IN_WORD[dtype]
    margins = ((0, 0), (0, -inputs % in_word), (0, -outputs % LANES))
    padded = numpy.pad(kernel.reshape(places, inputs, outputs), margins)
    if dtype == "int8":
        scales = numpy.maximum(numpy.abs(padded).max((0, 1)) * np.float32(1 / LARGEST), np.finfo(np.float32).tiny)
        padded = numpy.rint(padded / scales)
    words = padded.astype(jnp.dtype(dtype)).reshape(places, -1, in_word, padded.shape[2] // LANES, LANES)
    packed = words.transpose(3, 0, 1, 4, 2)
    if dtype != "int8":
        return packed
    totals = padded.sum((0, 1))
    first = numpy.stack([scales, totals]).astype(np.float32).reshape(-1)
    return numpy.concatenate([first.view(np.int8), packed.reshape(-1)])


def pack_transformed(transformed):
    """`winograd.filters` for F(4x4, 3x3), [36, inputs, outputs], as the source wants them: [36, outputs / 16, inputs, 16]."""
    places, inputs, outputs = transformed.shape
    numpy = np if isinstance(transformed, np.ndarray) else jnp
    padded = numpy.pad(transformed, ((0, 0), (0, 0), (0, -outputs % LANES)))
    return padded.reshape(places, inputs, -1, LANES).transpose(0, 2, 1, 3)


def convolve(
    x: jax.Array, packed: jax.Array, padded: bool, rectify: bool, outputs: int, *others, relu: bool
) -> jax.Array:
    """`convolution.convolve`.

    Args:
      packed: of `pack`, or of `pack_transformed`.
      others: bias [outputs], and after it perhaps what is to be added, of the result's shape.
      relu: whether the result is rectified.
    """
    less = 0 if padded else 2
    shape = (x.shape[0] - less, x.shape[1] - less, x.shape[2], outputs)
    how = {"padded": padded, "rectify_input": rectify, "rectify_output": relu}
    return _call(x, packed, *others, shape=shape, places=36 if len(packed) == 36 and packed.ndim == 4 else 9, **how)


def dense(x: jax.Array, packed: jax.Array, bias: jax.Array) -> jax.Array:
    """[batch, inputs] -> [batch, outputs], as a convolution of images of one pixel. Args: packed: of `pack`."""
    how = {"places": 1, "padded": False, "rectify_input": False, "rectify_output": False}
    return _call(x[None, None], packed, bias, shape=(1, 1, len(x), len(bias)), **how)[0, 0]


def _call(*arrays, shape, places: int, **how: bool) -> jax.Array:
    call = jax.ffi.ffi_call(_registered(str(arrays[1].dtype)), jax.ShapeDtypeStruct(shape, jnp.float32))
    return call(*arrays, places=np.int64(places), **how)


@functools.cache
def _registered(dtype: str) -> str:
    """The name by which XLA knows it: another one for another source, as compiled programs are kept."""
    if not is_supported(dtype):  # of a machine that joined a run planned elsewhere
        raise UserError(
            f"--plan has a way to convolve that needs a C++ compiler and a processor that multiplies {dtype}, and this machine "
            "lacks one of them"
        )
    library = _library(dtype)
    name = f"rtrl_convolve_{library.stem}"
    handler = ctypes.CDLL(str(library)).rtrl_convolve
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return name


@functools.cache
def _library(dtype: str) -> pathlib.Path | None:
    """The source compiled for products of that type, which is made if this machine has not got it; None if it cannot be."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else COMPILERS
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        return None
    of = (
        SOURCE.read_text(),
        jax.__version__,
        compiler,
        str(pathlib.Path(compiler).stat().st_mtime),
        processor().get("flags", ""),
        dtype,
    )
    path = cache_folder() / "native" / f"{hashlib.sha256(repr((of, OPTIONS)).encode()).hexdigest()[:16]}.so"
    try:
        if not path.exists():
            _compile(compiler, dtype, path)
        ctypes.CDLL(str(path))  # it may lie where nothing may be run
    except (OSError, subprocess.SubprocessError):
        return None
    return path


def _compile(compiler: str, dtype: str, path: pathlib.Path) -> None:
    if sys.stderr.isatty():  # for who waits; what scripts read has no line more
        print(f"compiling convolutions for {dtype}, once for this machine: some seconds", file=sys.stderr, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # another process may be doing the same
        made = pathlib.Path(folder) / path.name
        command = [
            compiler,
            *OPTIONS,
            f"-DRTRL_{dtype.upper()}",
            f"-I{jax.ffi.include_dir()}",
            str(SOURCE),
            "-o",
            str(made),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        made.replace(path)

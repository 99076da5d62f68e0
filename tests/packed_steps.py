"""Packed models of one step, by C and by NumPy."""

import numpy as np
from numpy.testing import assert_allclose

from emboscope.export.interpreter import run_packed
from emboscope.export.packed import packed_bytes, read_packed
from emboscope.export.program import Buffer, Operation, Program
from emboscope.export.runtime import Runtime


def content_of(kind, shapes, made, **more):
    """A packed model of one step on one or two inputs, which it reads as of these shapes."""
    inputs = {name: (int(np.prod(shape)),) for name, shape in zip("xy", shapes, strict=False)}
    first, *second = (Buffer(-1 - n, shape) for n, shape in enumerate(shapes))
    out = Buffer(0, made)
    step = Operation(kind, out, first, *second, **more)
    return packed_bytes(Program(inputs, (step,), (out.size,), out), ["out"], "")


def computed(kind, arrays, made, **more):
    """What C and NumPy make of arrays; both are the same."""
    content = content_of(kind, [each.shape for each in arrays], made, **more)
    given = {name: each.reshape(1, -1) for name, each in zip("xy", arrays, strict=False)}
    in_c = Runtime(content).predict_proba(given)[0]
    assert_allclose(in_c, run_packed(read_packed(content), given)[0], atol=1e-5)
    return in_c.reshape(made)


def random(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)

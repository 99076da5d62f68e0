"""Programs in whole numbers: C, the twin in PyTorch and the device agree to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import emboscope.export.packed as packed_file
from damaged_models import with_crc
from emboscope.errors import DataError, SettingsError
from emboscope.export import interpreter
from emboscope.export.c_code import CodeForm, export_c
from emboscope.export.cortex_m4 import has_cortex_m4, run_on_cortex_m4
from emboscope.export.integer import integer_program, observed_ranges
from emboscope.export.interpreter import run_packed
from emboscope.export.packed import packed_bytes, read_packed
from emboscope.export.program import Buffer, Operation, Program
from emboscope.export.runtime import Runtime, compiler
from emboscope.export.translation import program_of
from packed_networks import (
    EXPORTED,
    METHODS,
    NARROW,
    arrays,
    classifier_of,
    packed_in_bytes,
    trained,
    used,
    views,
)

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")

X = {"x": (3, 9, 11)}
IMAGE = Buffer(-1, (3, 9, 11))


def one(value):
    return np.array([value], np.float32)


def quantized(step=0.05):
    """Bytes of the input, and the operation that makes them."""
    out = Buffer(0, IMAGE.shape)
    return out, Operation("quantize", out, IMAGE, tensors={"scale": one(1 / step), "shift": one(0)})


def told(operations, sizes, source, step=0.01):
    """A program whose output are the bytes that it ends with, as floats."""
    out = Buffer(len(sizes), source.shape)
    last = Operation("dequantize", out, source, tensors={"scale": one(step), "shift": one(0)})
    return packed_bytes(Program(X, (*operations, last), (*sizes, out.size), out), ["a"], "0" * 64)


def same_in_c_and_pytorch(content, rng, scale=1.0):
    image = (scale * rng.standard_normal((5, *X["x"]))).astype(np.float32)
    found = Runtime(content).predict_proba({"x": image})
    assert_array_equal(found, run_packed(read_packed(content), {"x": image}))
    return image, found


WEIGHTS = {
    "ternary": lambda rng: np.where(rng.random((7, 3, 3, 3)) < 0.7, 0, rng.choice([-0.3, 0.4],
                                    (7, 3, 3, 3))),
    "one sign": lambda rng: 0.3 * (rng.random((7, 3, 3, 3)) < 0.02),
    "8-bit": lambda rng: rng.integers(-127, 128, (7, 3, 3, 3)) / 127,
}  # fmt: skip


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 2)])
@pytest.mark.parametrize("kind", list(WEIGHTS))
def test_a_convolution_is_that_of_the_twin_to_the_last_bit(kind, padding, stride, rng):
    weight = WEIGHTS[kind](rng).astype(np.float32)
    if kind == "8-bit":
        weight[:, 0, 0, 0] = 1.0  # so that the largest is the same in every channel
    source, first = quantized()
    sides = [(9 + 2 * padding[0] - 3) // stride[0] + 1, (11 + 2 * padding[1] - 3) // stride[1] + 1]
    out = Buffer(1, (7, *sides))
    tensors = {
        "weight": weight,
        "scale": rng.uniform(0.05, 0.5, 7).astype(np.float32),
        "shift": rng.normal(0, 5, 7).astype(np.float32),
    }
    convolution = Operation("integer_convolution", out, source, tensors=tensors, kernel=(3, 3),
                            stride=stride, padding=padding, activation="leaky_relu")  # fmt: skip
    content = told((first, convolution), (75, -(-out.size // 4)), out)
    image, found = same_in_c_and_pytorch(content, rng)
    whole = np.rint(np.clip(image / np.float32(0.05), -127, 127))
    exact = torch.conv2d(torch.from_numpy(whole).double(), torch.from_numpy(weight).double(),
                         stride=stride, padding=padding).numpy()  # fmt: skip
    if kind == "8-bit":
        exact = exact * 127  # the file holds whole numbers, and their step joins the scale
        tensors["scale"] = tensors["scale"] * np.float32(1 / 127)
    exact = exact * tensors["scale"][:, None, None] + tensors["shift"][:, None, None]
    expected = np.clip(np.where(exact > 0, exact, 0.01 * exact), -127, 127)
    assert np.abs(100 * found.reshape(expected.shape) - expected).max() < 0.51


def test_sums_of_many_weights_of_one_sign_do_not_run_over(rng):
    """600 numbers of 127: more than 16 bits hold."""
    weight = np.full((2, 3, 9, 11), 0.5, np.float32)
    weight[1, 0, 0, 0] = 0
    source, first = quantized(1e-6)
    out = Buffer(1, (2, 3, 5))
    scale, shift = np.full(2, 1 / 300, np.float32), np.zeros(2, np.float32)
    tensors = {"weight": weight, "scale": scale, "shift": shift}
    whole = Operation("integer_convolution", out, source, tensors=tensors, kernel=(9, 11),
                      padding=(1, 2))  # fmt: skip
    _, found = same_in_c_and_pytorch(told((first, whole), (75, 8), out), rng, scale=1000.0)
    assert np.isfinite(found).all()
    image = np.ones((1, *X["x"]), np.float32)
    most = Runtime(told((first, whole), (75, 8), out)).predict_proba({"x": image})
    assert most.reshape(2, 3, 5)[0, 1, 2] == pytest.approx(0.01 * round(297 * 127 * 0.5 / 300))


@pytest.mark.parametrize(("activation", "least"), [("relu", 0), ("none", -127)])
def test_pools_and_sums_of_bytes_are_those_of_the_twin(activation, least, rng):
    """Windows at the end hold less, and the largest there may be below zero."""
    source, first = quantized()
    small = Buffer(1, (3, 5, 6))
    pool = Operation("integer_pool", small, source, kernel=(2, 2), stride=(2, 2))
    total = Buffer(2, small.shape)
    both = Operation("integer_add", total, small, second=small, activation=activation,
                     tensors={"scale": one(0.3), "shift": one(0.45)})  # fmt: skip
    content = told((first, pool, both), (75, 23, 23), total)
    image, found = same_in_c_and_pytorch(content, rng)
    padded = np.pad(image, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-9)
    largest = padded.reshape(5, 3, 5, 2, 6, 2).max((3, 5))
    expected = np.clip(0.75 * np.rint(largest / 0.05), least, 127)
    assert (largest[:, :, -1] < 0).any()
    assert np.abs(100 * found.reshape(expected.shape) - expected).max() < 0.51


def test_a_range_is_the_largest_of_all_rows(rng):
    out = Buffer(0, IMAGE.shape)
    same = Operation("affine", out, IMAGE, tensors={"scale": one(2.0), "shift": one(0)})
    image = rng.uniform(-1, 1, (5, *X["x"])).astype(np.float32)
    image[3] *= 10
    (found,) = observed_ranges(Program(X, (same,), (297,), out), {"x": image})
    assert found == pytest.approx(2 * np.percentile(np.abs(image[3]), 99.99), rel=1e-5)


@pytest.mark.parametrize("model", EXPORTED)
def test_models_in_whole_numbers_are_near_those_in_single_precision(model):
    network = trained(model, "pttq")
    program = program_of(network, used(network))
    given = {name: view for name, view in arrays(24).items() if name in used(network)}
    whole = integer_program(program, observed_ranges(program, given))
    kinds = {operation.kind for operation in whole.operations}
    assert "integer_convolution" in kinds or "integer_logits" in kinds
    assert "convolution" not in kinds
    content = packed_bytes(whole, ["a", "b", "c"], "0" * 64)
    found = Runtime(content).predict_proba(given)
    few = {name: view[:4] for name, view in given.items()}
    assert_allclose(run_packed(read_packed(content), few), found[:4], atol=3e-7)
    with torch.no_grad():
        exact = network({n: torch.from_numpy(v) for n, v in given.items()}).softmax(1).numpy()
    assert np.abs(found - exact).mean() < 0.1  # of numbers that no training has made robust
    assert not np.array_equal(found, exact)


@pytest.mark.parametrize("step", ["dequantize", "mean"])
def test_many_rows_are_read_in_parts(step, rng, monkeypatch):
    """Each row by itself, whether a step is in whole numbers or not."""
    monkeypatch.setattr(interpreter, "_AT_ONCE", 3)
    source, first = quantized()
    out = Buffer(1, source.shape)
    operations = [first, replace(first, kind="dequantize", out=out, first=source)]
    if step == "mean":
        operations.append(Operation("mean", Buffer(2, (1, 1, 3)), out))
    program = Program(X, tuple(operations), (75, 297, 3), operations[-1].out)
    model = read_packed(packed_bytes(program, ["a"], "0" * 64))
    image = rng.standard_normal((8, *X["x"])).astype(np.float32)
    told = []
    found = run_packed(model, {"x": image}, lambda number, written: told.append(len(written)))
    alone = [run_packed(model, {"x": image[row : row + 1]})[0] for row in range(8)]
    assert_array_equal(found, alone)
    assert told == [3] * len(operations) + [3] * len(operations) + [2] * len(operations)
    assert len(np.unique(found, axis=0)) == 8


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("model", ["resnet", "cnn2d_small"])
def test_weights_of_every_form_are_whole_in_c_as_in_the_twin(model, method):
    content = packed_in_bytes(trained(model, method))
    found = Runtime(content).predict_proba(arrays(3))
    assert_allclose(run_packed(read_packed(content), arrays(3)), found, atol=3e-7)
    with torch.no_grad():
        exact = trained(model, method)(views(3)).softmax(1).numpy()
    assert np.abs(found - exact).mean() < 0.1


def test_joined_parts_have_the_largest_of_their_ranges():
    network = trained("hybrid_concat")
    program = program_of(network, used(network))
    ranges = observed_ranges(program, arrays(8))
    copies = [n for n, each in enumerate(program.operations) if each.kind == "copy"]
    ranges = [9.0 - 2 * copies.index(n) if n in copies else r for n, r in enumerate(ranges)]
    (joined,) = [
        operation
        for operation in integer_program(program, ranges).operations
        if operation.kind == "quantize"
        and operation.first.number == program.operations[copies[0]].out.number
    ]
    assert_allclose(joined.tensors["scale"], 127 / 9.0, rtol=1e-6)


def test_memory_of_activations_is_a_fraction_of_that_in_single_precision():
    network = trained("cnn2d", "pttq", settings=NARROW.model_copy(update={"n_filters": 16}))
    program = program_of(network, used(network))
    whole = integer_program(program, observed_ranges(program, arrays(4)))
    sizes = [read_packed(packed_bytes(each, ["a"], "0" * 64)).n_arena for each in (program, whole)]
    assert sizes[1] < 0.4 * sizes[0]


def test_an_export_in_whole_numbers_needs_signals_to_calibrate_with(tmp_path):
    classifier = classifier_of(trained("cnn2d", "pttq"), "cnn2d")
    with pytest.raises(SettingsError, match="nothing to calibrate with"):
        export_c(classifier, tmp_path / "none", arrays(), form=CodeForm(integer=True))
    form = CodeForm(integer=True, calibration=arrays(20))
    assert export_c(classifier, tmp_path, arrays(40), form=form).integer
    empty, gap = arrays(0), arrays(4)
    gap["spectrogram"] = np.full_like(gap["spectrogram"], np.nan)
    for useless in (empty, gap, {"waveform": arrays(4)["waveform"]}):
        form = CodeForm(integer=True, calibration=useless)
        with pytest.raises(DataError, match="view 'spectrogram' is missing, empty or not finite"):
            export_c(classifier, tmp_path / "none", arrays(40), form=form)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "change", ["weights in floats", "little scratch", "far out", "second far out", "in its scratch"]
)
def test_steps_in_bytes_that_do_not_fit_are_refused(change, monkeypatch):
    source, first = quantized()
    out = Buffer(1, (2, 9, 11))
    weight = np.where(np.arange(54).reshape(2, 3, 3, 3) % 2, 0.5, -0.5).astype(np.float32)
    if change == "weights in floats":
        monkeypatch.setattr(packed_file, "WHOLE_FORMS", ("float32",))
    tensors = {"weight": weight, "scale": np.ones(2, np.float32), "shift": np.zeros(2, np.float32)}
    whole = Operation("integer_convolution", out, source, tensors=tensors, kernel=(3, 3),
                      padding=(1, 1))  # fmt: skip
    if change == "far out":
        whole = replace(whole, first=Buffer(0, source.shape, 9000))
    content = bytearray(told((first, whole), (75, 50), out))
    if change == "second far out":
        content[92:96] = np.array([-(2**30)], "<i4").tobytes()
    if change == "in its scratch":
        content[180:184] = np.array([3], "<i4").tobytes()
    if change == "little scratch":
        n_arena, n_scratch = np.frombuffer(content, "<u4", 2, 32)
        content[32:40] = np.array([n_arena - n_scratch + 99, 99], "<u4").tobytes()
    with pytest.raises(DataError, match="malformed"):
        Runtime(with_crc(bytes(content)))


@pytest.mark.slow
@pytest.mark.skipif(not has_cortex_m4(), reason="no cross-compiler or emulator")
def test_a_cortex_m4_adds_bytes_as_this_machine_does_and_faster_than_floats(tmp_path):
    network = trained("cnn2d", "pttq", settings=NARROW.model_copy(update={"n_filters": 16}))
    classifier, given = classifier_of(network, "cnn2d"), {"spectrogram": arrays(3)["spectrogram"]}
    figures = {}
    for integer in (False, True):
        folder = tmp_path / str(integer)
        form = CodeForm(integer=integer, calibration=arrays(20))
        export_c(classifier, folder, given, form=form)
        figures[integer] = run_on_cortex_m4(folder, given)
        here = Runtime((folder / "model.emb").read_bytes()).predict_proba(given)
        assert_allclose(figures[integer].probabilities, here, atol=1e-6)
    assert figures[True].instructions < 0.75 * figures[False].instructions
    assert figures[True].ram_bytes < 0.5 * figures[False].ram_bytes

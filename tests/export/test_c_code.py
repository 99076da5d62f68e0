"""C code: strict, equal to PyTorch, and safe against damaged models."""

import ctypes
import re
import struct
import subprocess

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from damaged_models import FUZZ, with_crc
from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.export.c_code import CodeForm, export_c
from emboscope.export.manifest import read_manifest
from emboscope.export.names import identifiers
from emboscope.export.packed import read_packed
from emboscope.export.runtime import SHARED, STRICT, Runtime, compiled, compiler, runtime_source
from emboscope.learning.architecture import HITS, NetworkSettings
from packed_networks import (
    EXPORTED,
    METHODS,
    NARROW,
    SEQUENCES,
    arrays,
    classifier_of,
    packed,
    packed_in_bytes,
    packed_with_front_end,
    trained,
    used,
    views,
)
from packed_steps import computed, content_of, random

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@pytest.mark.parametrize("model", EXPORTED)
def test_c_equals_pytorch(model):
    network = trained(model)
    with torch.no_grad():
        expected = network(views(256)).softmax(1).numpy()
    assert_allclose(Runtime(packed(network)).predict_proba(arrays(256)), expected, atol=5e-6)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("cnn1d_transformer", NetworkSettings()),
        ("cnn1d_transformer", NetworkSettings(transformer=HITS)),
        ("vit", NetworkSettings()),
        ("lstm", NetworkSettings()),
    ],
)
def test_networks_of_full_size_equal_pytorch(model, settings):
    network = trained(model, settings=settings, size=0.05)
    with torch.no_grad():
        expected = network(views(256)).softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    assert_allclose(Runtime(packed(network)).predict_proba(arrays(256)), expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["hybrid_late", "cnn2d", "resnet2d", "hybrid_gated"])
def test_quantized_c_equals_pytorch(model, method):
    network = trained(model, method, settings=SEQUENCES if model == "hybrid_gated" else NARROW)
    with torch.no_grad():
        expected = network(views(32)).softmax(1).numpy()
    assert_allclose(Runtime(packed(network)).predict_proba(arrays(32)), expected, atol=5e-6)


def test_channels_and_layers_without_a_weight_are_computed():
    network = trained("cnn2d", "ttq")
    with torch.no_grad():
        network.branch.encoder.blocks[1][0].weight[1:3] = 0
        network.branch.encoder.blocks[2][0].weight.zero_()
        expected = network(views()).softmax(1).numpy()
    assert_allclose(Runtime(packed(network)).predict_proba(arrays()), expected, atol=5e-6)


def test_the_export_is_one_function_with_its_proof(tmp_path):
    network = trained("hybrid_late", "pttq")
    manifest = export_c(classifier_of(network, "hybrid_late"), tmp_path, arrays(300),
                        ["artifact", 'gas"eous', "solid"],
                        form=CodeForm(prefix="hits"))  # fmt: skip
    assert read_manifest(tmp_path) == manifest
    check = (tmp_path / "check.json").read_text()
    assert '"inputs": "real"' in check
    assert '"compiled": true' in check
    header = (tmp_path / "model.h").read_text()
    assert "BSD-3-Clause" in header
    assert "Research use only" in header
    assert manifest.source_weights_sha256 in header
    assert "int hits_predict(const float *waveform, const float *spectrogram, " in header
    library = tmp_path / "model.so"
    subprocess.run([compiler(), *STRICT, "-O2", "-shared", "-fPIC", tmp_path / "model.c", "-o",
                    library, "-lm"], check=True)  # fmt: skip
    code, found = ctypes.CDLL(str(library)), np.zeros(3, np.float32)
    assert code.hits_check() == 0
    names = (ctypes.c_char_p * 3).in_dll(code, "hits_classes")
    assert [name.decode() for name in names] == ["artifact", "gas_eous", "solid"]
    given = arrays(1)
    pointers = [given[name].ctypes.data_as(ctypes.c_void_p) for name in used(network)]
    assert code.hits_predict(*pointers, found.ctypes.data_as(ctypes.c_void_p)) == 0
    with torch.no_grad():
        assert_allclose(found, network(views(1)).softmax(1).numpy()[0], atol=5e-6)


def test_nothing_is_written_when_the_numbers_differ(tmp_path):
    classifier = classifier_of(trained("mlp"), "mlp")
    with pytest.raises(EmboscopeError, match="differs by .* expected at most -1"):
        export_c(classifier, tmp_path / "out", arrays(), tolerance=-1)
    assert not (tmp_path / "out").exists()


def test_a_prefix_that_is_no_name_and_too_few_classes_are_refused(tmp_path):
    classifier = classifier_of(trained("mlp"), "mlp")
    with pytest.raises(SettingsError, match="prefix '2d': no name in C"):
        export_c(classifier, tmp_path, form=CodeForm(prefix="2d"))
    with pytest.raises(SettingsError, match="prefix 'emb': taken by the runtime"):
        export_c(classifier, tmp_path, form=CodeForm(prefix="emb"))
    with pytest.raises(SettingsError, match="classes: 2 names; expected 3"):
        export_c(classifier, tmp_path, classes=("a", "b"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c[:40], "no packed model"),
        (lambda c: b"X" + c[1:], "no packed model"),
        (lambda c: c[:8] + b"\x07" + c[9:], "another format version"),
        (lambda c: c[:-16], "cut off"),
        (lambda c: c[:300] + bytes([c[300] ^ 255]) + c[301:], "its checksum differs"),
        (lambda c: with_crc(c[:64] + b"\xff" * 200 + c[264:]), "malformed"),
        (lambda c: with_crc(c[:24] + b"\xff\xff\xff\x0f" + c[28:]), "malformed"),
    ],
)
def test_damaged_models_are_refused(change, text):
    with pytest.raises(DataError, match=text):
        Runtime(change(packed(trained("mlp"))))


WIDE = NARROW.model_copy(update={"n_filters": 16})


def on_a_device(network, model, folder, *options):
    """Probabilities of 8 samples by `model.c`, which has no more scratch than it needs."""
    export_c(classifier_of(network, model), folder, arrays())
    library = folder / "model.so"
    subprocess.run([compiler(), *STRICT, "-O2", *options, "-shared", "-fPIC", folder / "model.c",
                    "-o", library, "-lm"], check=True)  # fmt: skip
    code, found = ctypes.CDLL(str(library)), np.zeros((8, 3), np.float32)
    given = [arrays(8)[name] for name in used(network)]
    for row, *inputs in zip(found, *given, strict=True):
        pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in (*inputs, row)]
        code.emboscope_predict(*pointers)
    return found


@pytest.mark.parametrize(
    ("method", "sparsity"),
    [(None, 0), ("pttq", 0.3), ("pttq", 0.99), ("magnitude", 0), ("int8", 0), ("int4", 0),
     ("dorefa", 0), ("twn", 0)],
)  # fmt: skip
def test_the_slow_way_of_a_device_and_the_fast_one_agree(method, sparsity, tmp_path):
    network = trained("cnn2d", method, settings=WIDE)
    with torch.no_grad():
        if sparsity:
            weight = network.branch.encoder.blocks[1][0].weight
            weight *= torch.rand(weight.shape) > sparsity
        expected = network(views(8)).softmax(1).numpy()
    content = packed(network)
    fast = Runtime(content)
    assert fast._arena.size > fast.model.n_arena
    assert struct.unpack_from("<I", fast._content, 32)[0] == fast._arena.size
    assert_allclose(on_a_device(network, "cnn2d", tmp_path), expected, atol=1e-5)
    assert_allclose(fast.predict_proba(arrays(8)), expected, atol=1e-5)


@pytest.mark.parametrize("model", ["cnn1d_transformer", "vit", "lstm", "cnn1d_compact"])
def test_a_device_without_vectors_computes_the_same(model, tmp_path):
    network = trained(model)
    with torch.no_grad():
        expected = network(views(8)).softmax(1).numpy()
    found = on_a_device(network, model, tmp_path, "-U__SSE2__", "-U__ARM_NEON")
    assert_allclose(found, expected, atol=5e-6)


@pytest.mark.parametrize("n_out", [1, 4, 6])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [
        ((3, 1, 100), (1, 5), (1, 2), (0, 2)),
        ((2, 9, 40), (3, 3), (2, 1), (1, 0)),
        ((2, 13, 31), (3, 4), (2, 3), (2, 5)),
        ((1, 24, 16), (8, 8), (8, 8), (0, 0)),
        ((2, 1, 90), (1, 1), (1, 4), (0, 0)),
        ((1, 40, 40), (9, 9), (9, 9), (4, 4)),
    ],
)
def test_convolutions_of_every_stride_equal_pytorch(shape, kernel, stride, padding, n_out):
    image, weight = random(*shape), random(n_out, shape[0], *kernel)
    tensors = {"weight": weight, "scale": random(n_out), "shift": random(n_out)}
    sums = torch.nn.functional.conv2d(
        torch.from_numpy(image)[None], torch.from_numpy(weight), None, stride, padding
    )[0]
    expected = sums.numpy() * tensors["scale"][:, None, None] + tensors["shift"][:, None, None]
    found = computed("convolution", [image], expected.shape, tensors=tensors, kernel=kernel,
                     stride=stride, padding=padding)  # fmt: skip
    assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("kernel", [(1, 2), (2, 2), (2, 1), (3, 2)])
def test_the_largest_of_windows_equals_pytorch(kernel):
    image = random(2, 6, 9)
    expected = torch.nn.functional.max_pool2d(torch.from_numpy(image), kernel)
    found = computed("max_pool", [image], tuple(expected.shape), kernel=kernel, stride=kernel)
    assert found.tolist() == expected.tolist()


def test_scratch_that_is_too_small_is_refused():
    content = bytearray(packed(trained("cnn2d")))
    n_arena, n_scratch = struct.unpack_from("<2I", content, 32)
    struct.pack_into("<2I", content, 32, n_arena - n_scratch, 0)
    with pytest.raises(DataError, match="malformed"):
        Runtime(bytes(content))


def test_a_gap_list_that_runs_over_is_refused():
    network = trained("cnn2d", "ttq")
    with torch.no_grad():
        weight = network.branch.encoder.blocks[3][0].weight
        weight *= torch.rand(weight.shape) > 0.95
    content = bytearray(packed(network))
    model = read_packed(bytes(content))
    (gaps,) = [each for each in model.tensors if each.form == "gap lists"]
    start = bytes(content).index(gaps.content)
    content[start : start + len(gaps.content)] = bytes([126]) * len(gaps.content)
    with pytest.raises(DataError, match="malformed"):
        Runtime(with_crc(bytes(content)))


def test_a_missing_or_wrong_view_is_told():
    runtime = Runtime(packed(trained("mlp")))
    with pytest.raises(DataError, match=re.escape("view 'measures': missing; expected (n, 12)")):
        runtime.predict_proba({})
    with pytest.raises(DataError, match=re.escape("view 'measures': (2, 13); expected (n, 12)")):
        runtime.predict_proba({"measures": np.zeros((2, 13))})


def test_code_that_the_compiler_refuses_is_told():
    with pytest.raises(EmboscopeError, match="expected no error"):
        compiled("int broken(void) { return }")


def mutated(rng, n):
    """Whole models with changed bytes, and their checksum put right, so that all is looked at."""
    forms = {method: packed(trained("hybrid_late", method)) for method in (None, *METHODS)}
    forms["front end"] = packed_with_front_end()
    forms["bytes"] = packed_in_bytes(trained("hybrid_late", "pttq"))
    forms["gated"] = packed(trained("hybrid_gated", "ttq", settings=SEQUENCES))
    for number in range(n):
        content = bytearray(forms[list(forms)[number % len(forms)]])
        tables = len(content) if number % 4 == 0 else 5000  # mostly header, steps and tensors
        for place in rng.integers(20, min(tables, len(content)), rng.integers(1, 6)):
            content[place] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
        yield with_crc(bytes(content))


@pytest.mark.parametrize("n", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_models_are_refused_or_run_without_a_finding(n, rng, tmp_path):
    (tmp_path / "fuzz.c").write_text(runtime_source() + SHARED + FUZZ)
    program = tmp_path / "fuzz"
    subprocess.run([compiler(), "-std=c99", "-g", "-O1", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", tmp_path / "fuzz.c", "-o", program, "-lm"],
                   check=True)  # fmt: skip
    paths = []
    for number, content in enumerate(mutated(rng, n)):
        paths.append(tmp_path / f"{number}.emb")
        paths[-1].write_bytes(content)
    done = subprocess.run([program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = list(map(int, done.stdout.split()))
    assert sum(counts) == n
    assert counts[5] > 0.2 * n  # the rest has changes of weights alone
    assert counts[0] > 0


def test_names_of_classes_and_views_are_no_code(tmp_path):
    classifier = classifier_of(trained("mlp"), "mlp")
    export_c(classifier, tmp_path, classes=("a??/", "**//", 'b"\\\n'))
    command = [
        compiler(),
        *STRICT,
        "-c",
        str(tmp_path / "model.c"),
        "-o",
        str(tmp_path / "model.o"),
    ]
    subprocess.run(command, check=True)
    assert identifiers(["2d", "inputs", "mel-2", "mel_2", "waveform"]) == {
        "2d": "view_2d", "inputs": "view_inputs", "mel-2": "mel_2", "mel_2": "mel_2_",
        "waveform": "waveform",
    }  # fmt: skip


def test_views_of_unequal_numbers_of_rows_are_refused():
    given = arrays(4) | {"measures": arrays(3)["measures"]}
    with pytest.raises(DataError, match="views: 4, 4, 3 rows; expected as many of each"):
        Runtime(packed(trained("hybrid_late"))).predict_proba(given)


def test_a_convolution_of_one_padded_number_reads_zeros():
    ones = {"weight": np.ones((1, 1, 1, 1), np.float32), "scale": np.ones(1, np.float32),
            "shift": np.zeros(1, np.float32)}  # fmt: skip
    content = content_of("convolution", [(1, 1, 1)], (1, 1, 1), tensors=ones, stride=(5, 7),
                         padding=(1, 2))  # fmt: skip
    assert Runtime(content).predict_proba({"x": np.array([[9.0]], np.float32)}) == 0


def test_a_cache_folder_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(EmboscopeError, match="cannot be made .*EMBOSCOPE_CACHE"):
        compiled("int one(void) { return 1; }")


def test_a_convolution_that_writes_into_its_own_scratch_is_refused():
    ones = {"weight": np.ones((2, 1, 3, 3), np.float32), "scale": np.ones(2, np.float32),
            "shift": np.zeros(2, np.float32)}  # fmt: skip
    content = content_of("convolution", [(1, 6, 6)], (2, 4, 4), tensors=ones, kernel=(3, 3))
    assert Runtime(content)
    for out, scratch in ((15, 0), (0, 8)):  # at the start, and within the output
        lying = bytearray(content)
        struct.pack_into("<i", lying, 84, out)
        struct.pack_into("<I", lying, 56, scratch)
        with pytest.raises(DataError, match="malformed"):
            Runtime(with_crc(bytes(lying)))

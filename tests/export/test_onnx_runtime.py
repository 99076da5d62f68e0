"""An exported file by ONNX Runtime: what it gives, what it refuses, and when it stands in for C."""

import numpy as np
import onnx
import pytest
import torch

from emboscope.errors import DataError
from emboscope.export.c_code import export_c
from emboscope.export.manifest import write_manifest
from emboscope.export.onnx import export_onnx
from emboscope.export.onnx_graph import seal_of, sealed
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from packed_networks import SHAPES


@pytest.fixture(scope="module")
def classifier():
    settings = NetworkSettings(compact_width=6)
    classifier = SignalClassifier("cnn2d_compact", network=settings)
    classifier.classes_, classifier.shapes_ = np.arange(2), dict(SHAPES)
    classifier.network_ = build_network("cnn2d_compact", SHAPES, 2, settings).eval()
    return classifier


@pytest.fixture(scope="module")
def folder(classifier, tmp_path_factory):
    """An export for both targets."""
    out = tmp_path_factory.mktemp("both")
    export_onnx(classifier, out, classes=("seizure", "other"))
    manifest = export_c(classifier, out, classes=("seizure", "other"))
    return out, write_manifest(out, manifest, (*manifest.files, "model.onnx"))


@pytest.fixture(scope="module")
def content(folder):
    return (folder[0] / "model.onnx").read_bytes()


def views(n):
    generator = torch.Generator().manual_seed(1)
    return {"spectrogram": torch.randn(n, 1, 32, 37, generator=generator).numpy()}


def changed(content, change):
    """The file with another graph, and a seal that fits."""
    model = onnx.load_from_string(content)
    change(model)
    return sealed(model.SerializeToString(deterministic=True))


def test_any_number_of_rows_gives_the_probabilities_of_the_classifier(content, classifier):
    runtime = OnnxRuntime(content)
    assert runtime.classes == ("seizure", "other")
    assert runtime.inputs == {"spectrogram": (1, 32, 37)}
    for n in (1, 7, 300):
        expected = classifier.predict_proba(views(n))
        np.testing.assert_allclose(runtime.predict_proba(views(n)), expected, atol=1e-5)
    assert runtime.predict_proba({"spectrogram": np.zeros((0, 1, 32, 37))}).shape == (0, 2)


@pytest.mark.parametrize("given", [{}, {"spectrogram": np.zeros((2, 32, 37))}])
def test_a_view_that_is_missing_or_of_another_shape_is_refused(content, given):
    with pytest.raises(DataError, match=r"view 'spectrogram': .*; expected \(n, 1, 32, 37\)"):
        OnnxRuntime(content).predict_proba(given)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(content, share):
    with pytest.raises(DataError, match="damaged, cut off, or not of 'emboscope export'"):
        OnnxRuntime(content[: int(share * len(content))])


def test_one_other_bit_anywhere_is_refused(content, rng):
    for place in rng.integers(len(content), size=50):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(DataError, match="damaged") as caught:
            OnnxRuntime(bytes(damaged))
        assert caught.value.exit_code == 3


def test_a_seal_holds_the_sum_of_all_other_bytes(content):
    assert len(seal_of(content)) == 64
    assert sealed(content) == content
    assert seal_of(content + b"x") is None
    assert seal_of(b"") is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda model: setattr(model.opset_import[0], "version", 99), "Opset 99"),
        (lambda model: setattr(model, "ir_version", 99), "Unsupported model IR version: 99"),
        (lambda model: setattr(model.graph.node[0], "op_type", "Nothing"), "invalid model"),
    ],
)
def test_a_newer_file_is_refused_in_one_sentence(content, change, text):
    with pytest.raises(DataError, match=f"not readable by ONNX Runtime .*{text}") as caught:
        OnnxRuntime(changed(content, change))
    message = str(caught.value)
    assert "onnxruntime_src" not in message
    assert "\n" not in message
    assert message.endswith("or install a newer ONNX Runtime.")

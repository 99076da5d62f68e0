import hashlib
import json
import logging
import math
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from emboscope.compression.quantizers import quantize, quantized_layers
from emboscope.errors import DataError, EmboscopeError
from emboscope.export.manifest import NOTICE, read_manifest
from emboscope.export.onnx import N_CHECKED, compare, export_onnx
from emboscope.export.onnx_graph import OPSET, Probabilities
from emboscope.learning.architecture import NetworkSettings, TransformerSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.representations.front_end import FrontEnd

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}
NARROW = NetworkSettings(
    compact_width=8, n_filters=8, transformer=TransformerSettings(width=16, n_layers=1)
)


def classifier_of(model, **given):
    """A classifier as fitted, with weights of a seed; batch statistics are not the initial ones."""
    classifier = SignalClassifier(model, network=NARROW, **given)
    classifier.classes_, classifier.shapes_ = np.array([0, 1]), dict(SHAPES)
    classifier.network_ = build_network(model, SHAPES, 2, NARROW)
    with torch.no_grad():
        classifier.network_({name: 1 + torch.randn(32, *shape) for name, shape in SHAPES.items()})
    classifier.network_.eval()
    return classifier


def views(rng, n=64):
    return {name: rng.standard_normal((n, *shape)) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("model", ["hybrid_late", "cnn1d_transformer"])
def test_the_file_gives_the_probabilities_of_the_classifier(model, rng, tmp_path):
    classifier, real = classifier_of(model), views(rng)
    manifest = export_onnx(classifier, tmp_path, real)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    names = [each.name for each in session.get_inputs()]
    assert names == [each.name for each in manifest.inputs]
    for n in (1, 3, 64):
        inputs = {name: real[name][:n].astype(np.float32) for name in names}
        (found,) = session.run(["probabilities"], inputs)
        expected = classifier.predict_proba({name: real[name][:n] for name in SHAPES})
        np.testing.assert_allclose(found, expected, atol=1e-5)  # float32, other order of sums


def test_the_files_say_what_they_are(rng, tmp_path):
    front_end = FrontEnd(sfreq=173.61, n_times=178)
    classifier = classifier_of("cnn2d_compact", front_end=front_end)
    export_onnx(classifier, tmp_path, classes=("seizure", "other"), metrics={"mcc": 0.9})
    manifest = read_manifest(tmp_path)
    assert manifest.classes == ("seizure", "other")
    assert FrontEnd.parse(manifest.front_end) == front_end
    assert manifest.metrics == {"mcc": 0.9}
    assert set(manifest.files) == {"model.onnx", "check.json"}
    assert manifest.sizes["model.onnx"] == (tmp_path / "model.onnx").stat().st_size
    assert (manifest.weights, manifest.front_end_inside) == ("float", False)
    assert [(each.name, each.shape) for each in manifest.inputs] == [("spectrogram", (1, 32, 37))]
    check = json.loads((tmp_path / "check.json").read_text())
    assert check["n_inputs"] == N_CHECKED == 256
    assert check["tolerance"] == 1e-5
    assert check["largest_difference"] <= check["tolerance"]
    model = onnx.load(tmp_path / "model.onnx")
    ends = (model.graph.input[0], model.graph.output[0])
    assert [each.type.tensor_type.shape.dim[0].dim_param for each in ends] == ["batch", "batch"]
    notes = {each.key: each.value for each in model.metadata_props}
    assert json.loads(notes["classes"]) == ["seizure", "other"]
    assert notes["notice"] == NOTICE
    assert [each.version for each in model.opset_import if each.domain == ""] == [OPSET]


def test_the_manifest_names_the_weights_that_were_saved(tmp_path):
    classifier = classifier_of("cnn1d_compact")
    classifier.history_ = []
    classifier.save(tmp_path / "run")
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    manifest = export_onnx(classifier, tmp_path / "export")
    assert manifest.source_weights_sha256 == hashlib.sha256(weights).hexdigest()


def test_quantized_weights_are_written_as_they_are_shown(tmp_path):
    classifier = classifier_of("cnn2d_compact")
    layer = "branch.encoder.blocks.2.0"
    quantize(classifier.network_, [layer])
    export_onnx(classifier, tmp_path)
    assert quantized_layers(classifier.network_) == [layer]  # the original is left as it was
    shown = classifier.network_.get_submodule(layer).weight.detach()
    tensors = onnx.load(tmp_path / "model.onnx").graph.initializer
    written = [onnx.numpy_helper.to_array(t) for t in tensors if list(t.dims) == [*shown.shape]]
    signs = [torch.from_numpy(np.sign(values)) for values in written]  # of a folded batch norm too
    assert any(torch.equal(found, shown.sign()) for found in signs)


def test_exporting_is_silent_and_leaves_logging_as_it_was(tmp_path, capfd):
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(classifier_of("cnn1d_compact"), tmp_path)
    assert logger.level == level
    assert capfd.readouterr() == ("", "")


def test_a_difference_beyond_the_tolerance_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(EmboscopeError, match="expected at most 0. Report this model"):
        export_onnx(classifier_of("cnn1d_compact"), tmp_path, tolerance=0)
    assert list(tmp_path.iterdir()) == []


def test_the_check_sees_a_changed_weight(tmp_path):
    classifier = classifier_of("cnn1d_compact")
    export_onnx(classifier, tmp_path)
    signal = torch.randn(64, 1, 178)
    graph = Probabilities(classifier.network_, ("waveform",))
    model = (tmp_path / "model.onnx").read_bytes()

    def largest():
        with torch.no_grad():
            return compare(model, graph(signal).numpy(), {"waveform": signal.numpy()}).largest

    assert largest() < 1e-5
    with torch.no_grad():
        classifier.network_.head.linear.bias += torch.tensor([0.1, 0.0])
    assert largest() > 1e-3


def test_the_check_counts_the_decisions_that_differ(tmp_path):
    classifier = classifier_of("cnn1d_compact")
    export_onnx(classifier, tmp_path)
    signal = torch.randn(4, 1, 178)
    with torch.no_grad():
        expected = Probabilities(classifier.network_, ("waveform",))(signal).numpy()
    expected[3] = expected[3, ::-1]
    found = compare((tmp_path / "model.onnx").read_bytes(), expected, {"waveform": signal.numpy()})
    assert found.same == 0.75


def test_nothing_of_this_computer_is_in_the_file(tmp_path):
    export_onnx(classifier_of("cnn1d_compact"), tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in content  # the exporter notes the line of the source beside each node
    weights = sum(math.prod(each.dims) for each in onnx.load_from_string(content).graph.initializer)
    assert len(content) < 4 * weights + 12_000  # names and nodes


def test_logits_and_log_probabilities_give_the_same_probabilities():
    class Passing(nn.Module):
        def forward(self, views):
            return views["scores"]

    scores = torch.randn(5, 3)
    graph = Probabilities(Passing(), ["scores"])
    assert torch.allclose(graph(scores), graph(scores.log_softmax(1)))


def test_a_missing_view_is_refused(rng, tmp_path):
    with pytest.raises(DataError, match="spectrogram missing; expected waveform, spectrogram"):
        export_onnx(classifier_of("hybrid_late"), tmp_path, {"waveform": np.zeros((1, 1, 178))})

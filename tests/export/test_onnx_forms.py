"""Forms of the weights: two bits for ternary ones, eight-bit arithmetic, and what they refuse."""

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from emboscope.compression.finetune import inner_layers
from emboscope.compression.quantizers import QuantizerSettings, quantize
from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.export.manifest import read_manifest, weights_sha256
from emboscope.export.onnx import export_onnx
from emboscope.export.onnx_forms import WEIGHTS, OnnxForm, WeightForm
from emboscope.export.onnx_graph import converted
from emboscope.export.onnx_low_bit import Weight, is_ternary_by_row, weights_of
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from packed_networks import SHAPES

WIDE = NetworkSettings(compact_width=24, n_filters=8)


def classifier_of(model, method=None, settings=WIDE):
    torch.manual_seed(2)
    classifier = SignalClassifier(model, network=settings)
    classifier.classes_, classifier.shapes_ = np.arange(3), dict(SHAPES)
    network = build_network(model, SHAPES, 3, settings)
    with torch.no_grad():
        for parameter in network.parameters():  # batch norms with negative scales among them
            parameter.add_(0.03 * torch.randn(parameter.shape))
        for part in network.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.weight.mul_(torch.randn(part.weight.shape).sign())
        network({name: torch.randn(40, *shape) for name, shape in SHAPES.items()})
    if method:
        quantize(network, inner_layers(network), method, QuantizerSettings(sparsity=0.8))
        for name in inner_layers(network) if method in {"pttq", "ttq"} else ():
            uneven(network.get_submodule(name))
    classifier.network_ = network.eval()
    return classifier


def uneven(layer):
    """Two scales that differ, as after training."""
    with torch.no_grad():
        dict(layer.parametrizations.weight.named_parameters())["0.log_scales"][0] += 0.5


@pytest.fixture(autouse=True, scope="module")
def each_network_is_converted_once():
    """The exporter takes seconds; what it made of the same weights is used again."""
    made = {}

    def remembered(graph, inputs):
        key = weights_sha256(graph)
        made[key] = made.get(key) or converted(graph, inputs)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emboscope.export.onnx.converted", remembered)
        yield


def rows(n, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(n, *shape, generator=generator).numpy() for name, shape in SHAPES.items()
    }


def exported(classifier, folder, weights, **more):
    export_onnx(classifier, folder, rows(64), form=OnnxForm(weights, **more))
    return OnnxRuntime((folder / "model.onnx").read_bytes())


def kinds(folder):
    return {each.data_type for each in onnx.load(folder / "model.onnx").graph.initializer}


@pytest.mark.parametrize(
    ("model", "method"),
    [("hybrid_late", "pttq"), ("cnn1d_transformer", "ttq"), ("cnn2d_compact", "dorefa")],
)
def test_ternary_weights_in_two_bits_give_the_same_probabilities(model, method, tmp_path):
    classifier = classifier_of(model, method)
    runtime = exported(classifier, tmp_path, "ternary")
    views = rows(50, seed=4)
    expected = classifier.predict_proba(views)
    np.testing.assert_allclose(runtime.predict_proba(views), expected, atol=1e-5)
    signs = [each for each in onnx.load(tmp_path / "model.onnx").graph.initializer
             if each.data_type == TensorProto.INT2]  # fmt: skip
    assert len(signs) == len(inner_layers(classifier.network_))


def test_two_bits_a_weight_are_what_the_file_takes(tmp_path):
    classifier = classifier_of("cnn2d_compact", "pttq")
    exported(classifier, tmp_path, "ternary")
    check = json.loads((tmp_path / "check.json").read_text())
    quantized = sum(
        classifier.network_.get_submodule(name).weight.numel()
        for name in inner_layers(classifier.network_)
    )
    saved = check["bytes_in_float"] - check["bytes"]
    assert saved == pytest.approx(quantized * (4 - 2 / 8), rel=0.05)  # but for scales and nodes
    assert check["bytes"] == (tmp_path / "model.onnx").stat().st_size
    assert read_manifest(tmp_path).weights == check["weights"] == "ternary"


@pytest.mark.parametrize(("method", "kind"), [("int4", "INT4"), ("int8", "INT8")])
def test_other_layers_of_a_mixed_model_keep_their_whole_numbers(method, kind, tmp_path):
    classifier = classifier_of("cnn2d_compact")
    first, *others = inner_layers(classifier.network_)
    quantize(classifier.network_, others, method)
    quantize(classifier.network_, [first], "ttq")
    runtime = exported(classifier, tmp_path, "ternary")
    assert {getattr(TensorProto, kind), TensorProto.INT2} <= kinds(tmp_path)
    views = rows(50, seed=4)
    expected = classifier.predict_proba(views)
    np.testing.assert_allclose(runtime.predict_proba(views), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "ternary"),
    [
        ([[-2, 0, 3, 3, -2, 0], [0, 0, 5, 0, 0, 5]], True),  # each row its own
        ([[0] * 6, [-1] * 6], True),
        ([[-2, 0, 3, 4, -2, 0], [0, 0, 5, 0, 0, 5]], False),
        ([[1, 2], [3, 4], [5, 6], [7, 8]], False),
        ([[-1, 2], [-3, 4], [-5, 6], [-7, 8]], False),  # ternary by chance: nothing saved
    ],
)
def test_a_ternary_weight_is_known_by_the_values_of_each_channel(values, ternary):
    matrix = np.array(values, np.float32)
    assert is_ternary_by_row(Weight("w", matrix, 0)) is ternary
    assert is_ternary_by_row(Weight("w", np.ascontiguousarray(matrix.T), 1)) is ternary


@pytest.mark.parametrize(
    ("kind", "transposed", "axis"),
    [("Conv", 0, 0), ("Gemm", 1, 0), ("Gemm", 0, 1), ("MatMul", 0, 1)],
)
def test_output_channels_are_known_by_the_layer(kind, transposed, axis):
    shape = (6, 5, 3) if kind == "Conv" else (6, 5)
    attributes = {"transB": transposed} if kind == "Gemm" else {}
    node = onnx.helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    weight = onnx.numpy_helper.from_array(np.ones(shape, np.float32), "w")
    graph = onnx.helper.make_graph([node, node], "g", [], [], [weight])
    (found,) = weights_of(onnx.helper.make_model(graph))  # once, though it is read twice
    assert (found.name, found.axis, len(found.rows)) == ("w", axis, shape[axis])


def test_a_model_without_ternary_layers_is_refused(tmp_path):
    for method in (None, "int8"):
        with pytest.raises(SettingsError, match="no layer of this model has ternary weights"):
            exported(classifier_of("cnn2d_compact", method), tmp_path, "ternary")
    assert not list(tmp_path.iterdir())


def test_an_onnx_without_int2_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr("emboscope.export.onnx_low_bit.TensorProto", object())
    with pytest.raises(EmboscopeError, match="no INT2; expected 1.20 or later"):
        exported(classifier_of("cnn2d_compact", "ttq"), tmp_path, "ternary")


@pytest.mark.parametrize("model", ["cnn2d_compact", "cnn1d_transformer"])
def test_eight_bits_decide_alike_in_a_smaller_file(model, tmp_path):
    classifier = classifier_of(model)
    runtime = exported(classifier, tmp_path, "int8", calibration=rows(128, seed=5))
    views = rows(200, seed=4)
    found, expected = runtime.predict_proba(views), classifier.predict_proba(views)
    assert 0 < np.abs(found - expected).max() < 0.2
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.95
    model = onnx.load(tmp_path / "model.onnx")
    assert not weights_of(model)  # none is left in float
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    check = json.loads((tmp_path / "check.json").read_text())
    assert check["bytes"] < 0.5 * check["bytes_in_float"]
    assert read_manifest(tmp_path).weights == "int8"


def test_weights_of_eight_bits_cannot_overflow_on_older_processors(tmp_path):
    exported(classifier_of("cnn2d_compact"), tmp_path, "int8", calibration=rows(64))
    tensors = onnx.load(tmp_path / "model.onnx").graph.initializer
    most = [
        np.abs(onnx.numpy_helper.to_array(each).astype(int)).max()
        for each in tensors
        if each.data_type == TensorProto.INT8 and len(each.dims) > 1
    ]
    assert most
    assert 2 * 255 * max(most) < 2**15  # two products in a register of 16 bits


def test_activations_span_what_was_calibrated_with(tmp_path):
    classifier = classifier_of("cnn2d_compact")
    logits = classifier.log_proba(rows(200))
    with torch.no_grad():  # so that each class is decided for
        classifier.network_.head.linear.bias -= torch.from_numpy(logits.mean(0))
    few = {name: 1e-3 * view for name, view in rows(64).items()}
    with pytest.raises(EmboscopeError, match="of the decisions are those of PyTorch; expected at"):
        exported(classifier, tmp_path, "int8", calibration=few)
    assert not list(tmp_path.iterdir())


def test_eight_bits_need_rows_to_calibrate_with(tmp_path):
    with pytest.raises(DataError, match="no inputs to calibrate with; expected views of training"):
        exported(classifier_of("cnn2d_compact"), tmp_path, "int8")


def test_a_form_that_saves_nothing_is_refused(tmp_path):
    tiny = classifier_of("cnn2d_compact", settings=NetworkSettings(compact_width=4))
    with pytest.raises(SettingsError, match=r"expected fewer than the \d+ in float. Choose float"):
        exported(tiny, tmp_path, "int8", calibration=rows(64))


def test_quantizing_leaves_logging_as_it_was(tmp_path, capfd, monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # a warning would add one for good
    before = list(root.handlers), root.level, logging.root.manager.disable
    exported(classifier_of("cnn2d_compact"), tmp_path, "int8", calibration=rows(64))
    assert (list(root.handlers), root.level, logging.root.manager.disable) == before
    assert capfd.readouterr() == ("", "")


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(
        SettingsError, match="form of weights 'int9': unknown; expected float, int8"
    ):
        exported(classifier_of("cnn2d_compact"), tmp_path, "int9")


@pytest.mark.parametrize("weights", sorted(WEIGHTS))
def test_every_form_is_documented(weights):
    docs = Path(__file__).parents[2] / "docs"
    assert isinstance(WEIGHTS[weights], WeightForm)
    for name in ("commands.md", "compression.md"):
        assert f"`{weights}`" in (docs / name).read_text(encoding="utf-8")

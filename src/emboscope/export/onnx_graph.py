"""From a network in PyTorch to an ONNX graph with a batch of any size, and to its file."""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from emboscope.export.manifest import NOTICE, package_versions

OPSET = 18  # the exporter's own, so that nothing is converted
_SEAL = b"emboscope-sha256:"
_OPEN = b"0" * 64


class Probabilities(nn.Module):
    """A network with its views as separate inputs and class probabilities as output."""

    def __init__(self, network: nn.Module, views: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.views = tuple(views)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Probabilities, shape (batch, class), of the views in their order."""
        scores = self.network(dict(zip(self.views, tensors, strict=True)))
        return scores.softmax(dim=1)  # (batch, class), of logits and log-probabilities alike


def converted(graph: nn.Module, inputs: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The graph as ONNX, with a batch of any size.

    Parameters
    ----------
    graph : Module
        Takes the inputs one by one and gives the probabilities.
    inputs : mapping of Tensor
        Two rows or more of each, in that order, by the names that they get.
    """
    batch = torch.export.Dim("batch")
    with _quiet():
        # Strict: else len() of a tensor fixes the batch, and the exporter does not say so.
        program = torch.export.export(
            graph,
            tuple(tensor[:2] for tensor in inputs.values()),
            dynamic_shapes={"tensors": tuple({0: batch} for _ in inputs)},
            strict=True,
        )
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["probabilities"],
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    symbol = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param == symbol:
                axis.dim_param = "batch"
    return model


def serialized(model: onnx.ModelProto, classes: Sequence[str]) -> bytes:
    """The file: the graph with the classes, the notice and the versions in its metadata.

    What the exporter notes beside each node is left out: it is larger than many a model, and names
    the folders of the computer.
    """
    model.producer_name, model.producer_version = "emboscope", package_versions()["emboscope"]
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]
    notes = {
        "classes": json.dumps(list(classes)),
        "notice": NOTICE,
        "versions": json.dumps(package_versions()),
        "seal": (_SEAL + _OPEN).decode(),
    }
    onnx.helper.set_model_props(model, notes)
    onnx.checker.check_model(model)
    return sealed(model.SerializeToString(deterministic=True))


def sealed(content: bytes) -> bytes:
    """A file whose last seal holds the sum of its bytes, taken with zeros in place of the sum."""
    start = content.rindex(_SEAL) + len(_SEAL)
    before, after = content[:start], content[start + len(_OPEN) :]
    return before + hashlib.sha256(before + _OPEN + after).hexdigest().encode() + after


def seal_of(content: bytes) -> str | None:
    """The sum in the seal of a file; None where there is none, or the bytes have another."""
    if _SEAL not in content or sealed(content) != content:
        return None
    start = content.rindex(_SEAL) + len(_SEAL)
    return content[start : start + len(_OPEN)].decode()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch's exporter says about itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)
            yield
    finally:
        logger.setLevel(level)

"""A trained network, written down as a program."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from emboscope.export.builder import Builder, folded, unsupported
from emboscope.export.manifest import SIGNAL
from emboscope.export.program import Buffer, Program
from emboscope.export.sequences import gated, lstm, transformer, vit
from emboscope.export.views import add_view, signal_shape
from emboscope.learning.architecture import Branch, Network
from emboscope.learning.combinations import (
    Concatenation,
    GatedAttention,
    Product,
    Sum,
    WeightedSum,
)
from emboscope.learning.compact import Cnn1dCompact, Cnn2dCompact
from emboscope.learning.encoders import Cnn1dTransformer, Cnn2d
from emboscope.learning.fusion import IntermediateFusion, LateFusion
from emboscope.learning.mlp import Mlp
from emboscope.learning.models import EncoderClassifier
from emboscope.learning.recurrent import Lstm
from emboscope.learning.resnet import Resnet, Resnet2d
from emboscope.learning.small import Cnn2dSmall
from emboscope.learning.vit import Vit
from emboscope.representations.front_end import FrontEnd


def program_of(
    network: Network,
    shapes: Mapping[str, tuple[int, ...]],
    front_end: FrontEnd | None = None,
) -> Program:
    """Write a trained network down as a program.

    Parameters
    ----------
    network : Network
        Settled: without quantizers.
    shapes : mapping of tuple
        Of the views that it reads.
    front_end : FrontEnd, optional
        Makes the views inside the program, whose one input then is the signal.

    Raises
    ------
    SettingsError
        If a part of it has no form in C.
    """
    if front_end is not None:
        shapes = {SIGNAL: signal_shape(front_end)}
    builder = Builder(shapes)
    if front_end is not None:
        builder.inputs = _Views(builder, front_end)
    logits = _network(builder, network)
    out = builder.new((1, 1, logits.size))
    builder.add("softmax", out, logits, tensors={"scale": 1 / float(network.temperature)})
    return Program(dict(shapes), tuple(builder.operations), tuple(builder.sizes), out)


class _Views(dict[str, Buffer]):
    """Views of the signal, each made where it is first read, so that it lies there no longer."""

    def __init__(self, builder: Builder, front_end: FrontEnd) -> None:
        super().__init__()
        self._builder, self._front_end = builder, front_end
        self._signal = builder.inputs[SIGNAL]

    def __missing__(self, name: str) -> Buffer:
        self[name] = add_view(self._builder, self._front_end, name, self._signal)
        return self[name]


def _network(builder: Builder, network: Network) -> Buffer:
    """Logits, or log-probabilities."""
    if isinstance(network, EncoderClassifier):
        return builder.layers(_branch(builder, network.branch), network.head)
    if isinstance(network, LateFusion):
        members = [_network(builder, _as_network(member)) for member in network.members]
        weights = network.weights  # (member, class)
        out = builder.new((1, 1, weights.shape[1]))
        return builder.add("mix", out, builder.joined(members), tensors={"weight": weights})
    if isinstance(network, IntermediateFusion):
        return _fused(builder, network)
    raise unsupported(network)


def _fused(builder: Builder, network: IntermediateFusion) -> Buffer:
    """Projections, combined, and the head."""
    parts = [
        builder.layers(_branch(builder, branch), projection)
        for branch, projection in zip(network.branches, network.projections, strict=True)
    ]
    rule = network.combination
    if isinstance(rule, Concatenation):
        return builder.layers(builder.joined(parts), network.head)
    if isinstance(rule, GatedAttention):
        return builder.layers(gated(builder, rule, parts), network.head)
    if isinstance(rule, WeightedSum):
        weights = rule.scores.detach().softmax(0).numpy()
        parts = [
            builder.affine(part, weight, 0.0) for part, weight in zip(parts, weights, strict=True)
        ]
    if not isinstance(rule, Sum | WeightedSum | Product):
        raise unsupported(rule)
    kind = "multiply" if isinstance(rule, Product) else "add"
    total = parts[0]
    for part in parts[1:]:
        total = builder.add(kind, builder.new(total.shape), total, second=part)
    return builder.layers(total, network.head)


def _branch(builder: Builder, branch: Branch) -> Buffer:
    """Features of a view."""
    view, encoder = builder.inputs[branch.view], branch.encoder
    mean, sd = float(branch.standardize.mean), float(branch.standardize.sd)
    if (mean, sd) != (0.0, 1.0):
        view = builder.affine(view, 1 / sd, -mean / sd)
    write = next((rule for kind, rule in _WRITERS.items() if type(encoder) is kind), None)
    if write is None:
        raise unsupported(encoder)
    return write(builder, encoder, view)


def _as_network(member: nn.Module) -> Network:
    assert isinstance(member, Network)
    return member


def _compact2d(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2dCompact | Cnn1dCompact)
    hidden = builder.layers(view, encoder.blocks)
    return _pooled(builder, encoder, hidden)


def _compact1d(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn1dCompact)
    both = builder.new((2 * view.shape[0], *view.shape[1:]))
    hidden = builder.layers(builder.add("signed_log", both, view), encoder.stem)
    for block in encoder.blocks:
        hidden = _residual(builder, block, hidden)
    return _pooled(builder, encoder, hidden)


def _pooled(builder: Builder, encoder: nn.Module, hidden: Buffer) -> Buffer:
    """Mean and maximum of each channel, normalized."""
    assert isinstance(encoder.norm, nn.BatchNorm1d)
    features = builder.add("moments", builder.new((2 * hidden.shape[0], 1, 1)), hidden)
    scale, shift = folded(encoder.norm, torch.zeros(features.size))
    return builder.affine(features, scale, shift)


def _residual(builder: Builder, block: nn.Module, hidden: Buffer) -> Buffer:
    """Main path and shortcut, added, ReLU."""
    main = builder.layers(hidden, block.main)  # type: ignore[arg-type]
    shortcut = builder.layers(hidden, block.shortcut)  # type: ignore[arg-type]
    out = builder.new(main.shape)
    return builder.add("add", out, main, second=shortcut, activation="relu")


def _plain(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2d)
    return builder.layers(view, encoder.blocks)


def _small(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2dSmall)
    return builder.layers(view, encoder.blocks, encoder.hidden, nn.ReLU())


def _resnet(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Resnet | Resnet2d)
    hidden = builder.layers(view, encoder.stem) if isinstance(encoder, Resnet2d) else view
    for block in encoder.blocks:
        hidden = _residual(builder, block, hidden)
    return builder.add("mean", builder.new((hidden.shape[0], 1, 1)), hidden)


def _mlp(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Mlp)
    edges = encoder.code.edges  # (feature, bin + 1)
    codes = builder.new((1, 1, edges.shape[0] * (edges.shape[1] - 1)))
    builder.add("quantiles", codes, view, tensors={"weight": edges})
    return builder.layers(codes, encoder.layers)


_WRITERS: dict[type, Callable[[Builder, nn.Module, Buffer], Buffer]] = {
    Cnn2d: _plain,
    Cnn2dCompact: _compact2d,
    Cnn1dCompact: _compact1d,
    Cnn2dSmall: _small,
    Resnet: _resnet,
    Resnet2d: _resnet,
    Mlp: _mlp,
    Cnn1dTransformer: transformer,
    Vit: vit,
    Lstm: lstm,
}

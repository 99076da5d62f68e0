"""A trained network, written down as a program."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from emboscope.errors import SettingsError
from emboscope.export.program import Buffer, Operation, Program, Shape
from emboscope.learning.architecture import Branch, LinearHead, Network
from emboscope.learning.combinations import Concatenation, Product, Sum, WeightedSum
from emboscope.learning.compact import Cnn1dCompact, Cnn2dCompact
from emboscope.learning.encoders import Cnn2d
from emboscope.learning.fusion import IntermediateFusion, LateFusion
from emboscope.learning.mlp import Mlp
from emboscope.learning.models import EncoderClassifier
from emboscope.learning.resnet import Resnet, Resnet2d
from emboscope.learning.small import Cnn2dSmall


def program_of(network: Network, shapes: Mapping[str, tuple[int, ...]]) -> Program:
    """Write a trained network down as a program.

    Parameters
    ----------
    network : Network
        Settled: without quantizers.
    shapes : mapping of tuple
        Of the views that it reads.

    Raises
    ------
    SettingsError
        If a part of it has no form in C.
    """
    builder = _Builder(shapes)
    logits = builder.network(network)
    out = builder.new((1, 1, logits.size))
    sharpness = _one(1 / float(network.temperature))
    builder.add("softmax", out, logits, tensors={"scale": sharpness})
    return Program(dict(shapes), tuple(builder.operations), tuple(builder.sizes), out)


class _Builder:
    """Operations as they are added."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.operations: list[Operation] = []
        self.sizes: list[int] = []
        self.inputs = {
            name: Buffer(-1 - number, _as_image(shape))
            for number, (name, shape) in enumerate(shapes.items())
        }

    def new(self, shape: Shape) -> Buffer:
        """A buffer of its own."""
        self.sizes.append(int(np.prod(shape)))
        return Buffer(len(self.sizes) - 1, shape)

    def add(self, kind: str, out: Buffer, first: Buffer, **more: object) -> Buffer:
        """One more operation; its output."""
        self.operations.append(Operation(kind, out, first, **more))  # type: ignore[arg-type]
        return out

    def network(self, network: Network) -> Buffer:
        """Logits, or log-probabilities."""
        if isinstance(network, EncoderClassifier):
            return self.layers(self.branch(network.branch), network.head)
        if isinstance(network, LateFusion):
            members = [self.network(_as_network(member)) for member in network.members]
            weights = network.weights.detach().numpy()  # (member, class)
            out = self.new((1, 1, weights.shape[1]))
            return self.add("mix", out, self.joined(members), tensors={"weight": weights})
        if isinstance(network, IntermediateFusion):
            return self.fused(network)
        raise _unsupported(network)

    def fused(self, network: IntermediateFusion) -> Buffer:
        """Projections, combined, and the head."""
        parts = [
            self.layers(self.branch(branch), projection)
            for branch, projection in zip(network.branches, network.projections, strict=True)
        ]
        rule = network.combination
        if isinstance(rule, Concatenation):
            return self.layers(self.joined(parts), network.head)
        if isinstance(rule, WeightedSum):
            weights = rule.scores.detach().softmax(0).numpy()
            parts = [
                self.affine(part, weight, 0.0) for part, weight in zip(parts, weights, strict=True)
            ]
        if not isinstance(rule, Sum | WeightedSum | Product):
            raise _unsupported(rule)
        kind = "multiply" if isinstance(rule, Product) else "add"
        total = parts[0]
        for part in parts[1:]:
            total = self.add(kind, self.new(total.shape), total, second=part)
        return self.layers(total, network.head)

    def branch(self, branch: Branch) -> Buffer:
        """Features of a view."""
        view, encoder = self.inputs[branch.view], branch.encoder
        mean, sd = float(branch.standardize.mean), float(branch.standardize.sd)
        if (mean, sd) != (0.0, 1.0):
            view = self.affine(view, 1 / sd, -mean / sd)
        write = next((rule for kind, rule in _ENCODERS.items() if type(encoder) is kind), None)
        if write is None:
            raise _unsupported(encoder)
        return write(self, encoder, view)

    def affine(self, first: Buffer, scale: float, shift: float) -> Buffer:
        """One scale and one shift for all."""
        tensors = {"scale": _one(scale), "shift": _one(shift)}
        return self.add("affine", self.new(first.shape), first, tensors=tensors)

    def joined(self, parts: list[Buffer]) -> Buffer:
        """Vectors one after the other."""
        whole, start = self.new((1, 1, sum(part.size for part in parts))), 0
        for part in parts:
            self.add("copy", Buffer(whole.number, part.shape, start), part)
            start += part.size
        return whole

    def layers(self, first: Buffer, *modules: nn.Module) -> Buffer:
        """Layers in their order; normalizations and activations join the convolution before."""
        flat = [part for module in modules for part in _flat(module)]
        at = 0
        while at < len(flat):
            taken, first = self.one(first, flat[at:])
            at += taken
        return first

    def one(self, first: Buffer, rest: list[nn.Module]) -> tuple[int, Buffer]:
        """The next layer; how many modules it took, and its output."""
        module = rest[0]
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            return self.convolution(first, rest)
        if isinstance(module, nn.MaxPool2d | nn.AvgPool1d):
            return 1, self.pool(first, module)
        if isinstance(module, nn.LayerNorm):
            tensors = {"scale": _array(module.weight), "shift": _array(module.bias),
                       "weight": _one(module.eps)}  # fmt: skip
            return 1, self.add("layer_norm", self.new(first.shape), first, tensors=tensors)
        if isinstance(module, nn.ReLU):
            unit = {"scale": _one(1), "shift": _one(0)}
            out = self.new(first.shape)
            return 1, self.add("affine", out, first, tensors=unit, activation="relu")
        raise _unsupported(module)

    def convolution(self, first: Buffer, rest: list[nn.Module]) -> tuple[int, Buffer]:
        """A convolution or linear layer with what follows it in each channel."""
        layer, taken = rest[0], 1
        assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
        weight = layer.weight.detach()
        if isinstance(layer, nn.Linear):
            first = Buffer(first.number, (first.size, 1, 1), first.start)
        geometry = _geometry(layer)
        scale = torch.ones(len(weight))
        shift = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
        if taken < len(rest) and isinstance(rest[taken], nn.modules.batchnorm._BatchNorm):
            scale, shift = _folded(rest[taken], shift)
            taken += 1
        activation = "none"
        if taken < len(rest) and isinstance(rest[taken], nn.ReLU | nn.LeakyReLU):
            activation = "relu" if isinstance(rest[taken], nn.ReLU) else "leaky_relu"
            taken += 1
        sides = _sides(first.shape[1:], *geometry)
        tensors = {"weight": _array(weight), "scale": _array(scale), "shift": _array(shift)}
        kernel, stride, padding = geometry
        out = self.new((len(weight), *sides))
        self.add("convolution", out, first, tensors=tensors, kernel=kernel, stride=stride,
                 padding=padding, activation=activation)  # fmt: skip
        return taken, out

    def pool(self, first: Buffer, layer: nn.Module) -> Buffer:
        """Largest value or mean of windows; the mean of those that are cut off at the end too."""
        assert isinstance(layer, nn.MaxPool2d | nn.AvgPool1d)
        kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
        n_channels, n_rows, n_columns = first.shape
        if isinstance(layer, nn.AvgPool1d):
            assert layer.ceil_mode
            kind, sides = "mean_pool", (n_rows, -(-n_columns // stride[1]))
        else:
            kind, sides = "max_pool", _sides((n_rows, n_columns), kernel, stride, (0, 0))
        out = self.new((n_channels, *sides))
        return self.add(kind, out, first, kernel=kernel, stride=stride)


def _compact2d(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2dCompact | Cnn1dCompact)
    hidden = builder.layers(view, encoder.blocks)
    return _pooled(builder, encoder, hidden)


def _compact1d(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn1dCompact)
    both = builder.new((2 * view.shape[0], *view.shape[1:]))
    hidden = builder.layers(builder.add("signed_log", both, view), encoder.stem)
    for block in encoder.blocks:
        hidden = _residual(builder, block, hidden)
    return _pooled(builder, encoder, hidden)


def _pooled(builder: _Builder, encoder: nn.Module, hidden: Buffer) -> Buffer:
    """Mean and maximum of each channel, normalized."""
    assert isinstance(encoder.norm, nn.BatchNorm1d)
    features = builder.add("moments", builder.new((2 * hidden.shape[0], 1, 1)), hidden)
    scale, shift = _folded(encoder.norm, torch.zeros(features.size))
    tensors = {"scale": _array(scale), "shift": _array(shift)}
    return builder.add("affine", builder.new(features.shape), features, tensors=tensors)


def _residual(builder: _Builder, block: nn.Module, hidden: Buffer) -> Buffer:
    """Main path and shortcut, added, ReLU."""
    main = builder.layers(hidden, block.main)  # type: ignore[arg-type]
    shortcut = builder.layers(hidden, block.shortcut)  # type: ignore[arg-type]
    out = builder.new(main.shape)
    return builder.add("add", out, main, second=shortcut, activation="relu")


def _plain(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2d)
    return builder.layers(view, encoder.blocks)


def _small(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Cnn2dSmall)
    return builder.layers(view, encoder.blocks, encoder.hidden, nn.ReLU())


def _resnet(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Resnet | Resnet2d)
    hidden = builder.layers(view, encoder.stem) if isinstance(encoder, Resnet2d) else view
    for block in encoder.blocks:
        hidden = _residual(builder, block, hidden)
    return builder.add("mean", builder.new((hidden.shape[0], 1, 1)), hidden)


def _mlp(builder: _Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    assert isinstance(encoder, Mlp)
    edges = _array(encoder.code.edges)  # (feature, bin + 1)
    codes = builder.new((1, 1, edges.shape[0] * (edges.shape[1] - 1)))
    builder.add("quantiles", codes, view, tensors={"weight": edges})
    return builder.layers(codes, encoder.layers)


_ENCODERS: dict[type, Callable[[_Builder, nn.Module, Buffer], Buffer]] = {
    Cnn2d: _plain,
    Cnn2dCompact: _compact2d,
    Cnn1dCompact: _compact1d,
    Cnn2dSmall: _small,
    Resnet: _resnet,
    Resnet2d: _resnet,
    Mlp: _mlp,
}


def _as_image(shape: tuple[int, ...]) -> Shape:
    """(channel, row, column) of a view."""
    if len(shape) == 1:
        return (1, 1, shape[0])
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def _as_network(member: nn.Module) -> Network:
    assert isinstance(member, Network)
    return member


def _flat(module: nn.Module) -> list[nn.Module]:
    """The layers of a sequence, without those that do nothing once trained."""
    if isinstance(module, nn.Sequential):
        return [part for child in module for part in _flat(child)]
    if isinstance(module, LinearHead):
        return [module.linear]
    if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity | nn.Flatten):
        return []
    return [module]


def _one(value: float) -> np.ndarray:
    return np.array([value], np.float32)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _folded(norm: nn.Module, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift of a convolution's sums by batch norm: γ/√(v + ε), β + scale·(b − m)."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    moved = norm.bias.detach().double() + scale * (shift.double() - norm.running_mean.double())
    return scale.float(), moved.float()


def _pair(value: object) -> tuple[int, int]:
    """(row, column) of a setting of one or two axes; of one axis the columns."""
    if isinstance(value, int):
        return (value, value)
    assert isinstance(value, tuple)
    return (1, value[0]) if len(value) == 1 else (value[0], value[1])


def _geometry(layer: nn.Module) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Kernel, stride and padding."""
    if isinstance(layer, nn.Linear):
        return (1, 1), (1, 1), (0, 0)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    assert layer.groups == 1
    assert set(layer.dilation) == {1}
    padding = layer.padding
    assert isinstance(padding, tuple)
    rows_pad = (0, padding[0]) if len(padding) == 1 else (padding[0], padding[1])
    return _pair(layer.kernel_size), _pair(layer.stride), rows_pad


def _sides(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int],
    padding: tuple[int, int],
) -> tuple[int, int]:  # fmt: skip
    """Rows and columns that come out."""
    found = [
        (side + 2 * pad - size) // step + 1
        for side, size, step, pad in zip(shape, kernel, stride, padding, strict=True)
    ]
    return found[0], found[1]


def _unsupported(part: nn.Module) -> SettingsError:
    return SettingsError(
        f"export: {type(part).__name__} has no form in C; expected compact encoders, cnn2d, "
        "cnn2d_small, resnet, resnet2d or mlp, alone, in late fusion or fused by concat, sum, "
        "weighted or product. Export to ONNX."
    )

"""Operations of layers, as they are added to a program."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from emboscope.errors import SettingsError
from emboscope.export.program import Buffer, Operation, Shape
from emboscope.learning.architecture import LinearHead
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.encoders import ENCODERS

Values = Tensor | np.ndarray | float


class Builder:
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

    def add(
        self, kind: str, out: Buffer, first: Buffer, tensors: Mapping[str, Values] | None = None,
        **more: object,
    ) -> Buffer:  # fmt: skip
        """One more operation; its output."""
        arrays = {name: _array(values) for name, values in (tensors or {}).items()}
        self.operations.append(Operation(kind, out, first, tensors=arrays, **more))  # type: ignore[arg-type]
        return out

    def affine(self, first: Buffer, scale: Values, shift: Values) -> Buffer:
        """Scale and shift, each one for all or one a number."""
        tensors = {"scale": scale, "shift": shift}
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
        if isinstance(module, nn.MaxPool2d | nn.MaxPool1d | nn.AvgPool1d):
            return 1, self.pool(first, module)
        if isinstance(module, nn.LayerNorm):
            tensors: dict[str, Values] = {
                "scale": module.weight, "shift": module.bias, "weight": module.eps,
            }  # fmt: skip
            return 1, self.add("layer_norm", self.new(first.shape), first, tensors=tensors)
        if isinstance(module, nn.ReLU):
            unit, out = {"scale": 1.0, "shift": 0.0}, self.new(first.shape)
            return 1, self.add("affine", out, first, tensors=unit, activation="relu")
        raise unsupported(module)

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
            scale, shift = folded(rest[taken], shift)
            taken += 1
        activation = "none"
        if taken < len(rest) and isinstance(rest[taken], nn.ReLU | nn.LeakyReLU):
            activation = "relu" if isinstance(rest[taken], nn.ReLU) else "leaky_relu"
            taken += 1
        sides = _sides(first.shape[1:], *geometry)
        tensors = {"weight": weight, "scale": scale, "shift": shift}
        kernel, stride, padding = geometry
        out = self.new((len(weight), *sides))
        self.add("convolution", out, first, tensors=tensors, kernel=kernel, stride=stride,
                 padding=padding, activation=activation)  # fmt: skip
        return taken, out

    def pool(self, first: Buffer, layer: nn.Module) -> Buffer:
        """Largest value or mean of windows; the mean of those that are cut off at the end too."""
        assert isinstance(layer, nn.MaxPool2d | nn.MaxPool1d | nn.AvgPool1d)
        sizes: tuple[object, object] = (layer.kernel_size, layer.stride)
        if isinstance(layer, nn.MaxPool1d):
            sizes = ((sizes[0],), (sizes[1],))  # of columns alone
        kernel, stride = map(_pair, sizes)
        n_channels, n_rows, n_columns = first.shape
        if isinstance(layer, nn.AvgPool1d):
            assert layer.ceil_mode
            kind, sides = "mean_pool", (n_rows, -(-n_columns // stride[1]))
        else:
            kind, sides = "max_pool", _sides((n_rows, n_columns), kernel, stride, (0, 0))
        out = self.new((n_channels, *sides))
        return self.add(kind, out, first, kernel=kernel, stride=stride)


def _as_image(shape: tuple[int, ...]) -> Shape:
    """(channel, row, column) of a view."""
    if len(shape) == 1:
        return (1, 1, shape[0])
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], shape[1], shape[2])


def _flat(module: nn.Module) -> list[nn.Module]:
    """The layers of a sequence, without those that do nothing once trained."""
    if isinstance(module, nn.Sequential):
        return [part for child in module for part in _flat(child)]
    if isinstance(module, LinearHead):
        return [module.linear]
    if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity | nn.Flatten):
        return []
    return [module]


def _array(values: Values) -> np.ndarray:
    """In single precision; a number as an array of one."""
    return torch.atleast_1d(torch.as_tensor(values)).detach().cpu().numpy().astype(np.float32)


def folded(norm: nn.Module, shift: Tensor) -> tuple[Tensor, Tensor]:
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


def unsupported(part: nn.Module) -> SettingsError:
    """What is not told in C, and what is: all encoders and fusions of our own."""
    encoders = [name for name, kind in ENCODERS.items() if kind.__module__.startswith("emboscope.")]
    return SettingsError(
        f"export: {type(part).__name__} has no form in C; expected {', '.join(encoders)}, alone, "
        f"in late fusion or fused by {', '.join(FUSIONS)}. Export to ONNX."
    )

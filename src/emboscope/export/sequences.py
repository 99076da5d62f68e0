"""Networks whose tokens, or steps in time, are the columns of a buffer, as operations."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emboscope.export.builder import Builder, Values
from emboscope.export.program import Buffer
from emboscope.learning.combinations import GatedAttention
from emboscope.learning.encoders import Cnn1dTransformer
from emboscope.learning.recurrent import Lstm
from emboscope.learning.vit import Vit


def transformer(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    """Features at the class token; of the last layer nothing else is computed."""
    assert isinstance(encoder, Cnn1dTransformer)
    shared = [encoder.shared] * encoder.settings.transformer.n_conv
    hidden = builder.layers(view, encoder.stem, *shared)  # (width, 1, token)
    width, _, n_tokens = hidden.shape
    shape = (width, 1, n_tokens + 1)
    room = builder.add("frame", builder.new(shape), hidden, padding=(0, 1))
    factor = math.sqrt(width)
    table = encoder.positions.T.clone()  # (width, token)
    table[:, 0] += factor * encoder.class_token.detach()
    tokens = builder.affine(room, factor, table)
    *inner, last = encoder.layers
    for layer in inner:
        tokens = _layer(builder, layer, tokens, tokens)
    first = builder.add("frame", builder.new((width, 1, 1)), tokens)
    return _layer(builder, last, tokens, first)


def vit(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    """Mean of the tokens."""
    assert isinstance(encoder, Vit)
    _, right, _, below = encoder.padding
    n_channels, n_rows, n_columns = view.shape
    if right or below:
        whole = builder.new((n_channels, n_rows + below, n_columns + right))
        view = builder.add("frame", whole, view)
    patches = builder.layers(view, encoder.patches)
    n_tokens = patches.shape[1] * patches.shape[2]
    tokens = Buffer(patches.number, (patches.shape[0], 1, n_tokens))
    tokens = builder.affine(tokens, 1.0, encoder.positions.T)
    for layer in encoder.layers:
        tokens = _layer(builder, layer, tokens, tokens)
    normed = _norm(builder, encoder.norm, tokens)
    return builder.add("mean", builder.new((normed.shape[0], 1, 1)), normed)


def lstm(builder: Builder, encoder: nn.Module, view: Buffer) -> Buffer:
    """Mean and maximum of the hidden states over time."""
    assert isinstance(encoder, Lstm)
    steps = builder.layers(view, encoder.stem)
    inner, weights, biases = encoder.lstm, [], []
    for end in ("", "_reverse"):
        both = [getattr(inner, f"weight_{part}_l0{end}") for part in ("ih", "hh")]
        weights.append(torch.cat(both, dim=1).T)  # (channel + unit, 4 units)
        biases.append(getattr(inner, f"bias_ih_l0{end}") + getattr(inner, f"bias_hh_l0{end}"))
    tensors = {"weight": torch.stack(weights), "shift": torch.stack(biases)}
    out = builder.new((2, inner.hidden_size, steps.shape[2]))
    states = builder.add("lstm", out, steps, tensors=tensors)
    units = Buffer(states.number, (2 * inner.hidden_size, 1, steps.shape[2]))
    return builder.add("moments", builder.new((2 * units.shape[0], 1, 1)), units)


def gated(builder: Builder, rule: GatedAttention, parts: list[Buffer]) -> Buffer:
    """Sum of the projections, weighted by the softmax of their scores."""
    scores = []
    for part in parts:
        given = Buffer(part.number, (part.size, 1, 1), part.start)
        value = _linear(builder, given, rule.value.weight, rule.value.bias, activation="tanh")
        gate = _linear(builder, given, rule.gate.weight, rule.gate.bias, activation="sigmoid")
        both = builder.add("multiply", builder.new(value.shape), value, second=gate)
        scores.append(_linear(builder, both, rule.score.weight, None))
    joined = builder.joined(scores)
    shares = builder.add("softmax", builder.new(joined.shape), joined, tensors={"scale": 1.0})
    stacked = builder.joined(parts)
    rows = Buffer(stacked.number, (len(parts), 1, parts[0].size))
    return builder.add("blend", builder.new((1, 1, parts[0].size)), rows, second=shares)


def _layer(builder: Builder, layer: nn.Module, tokens: Buffer, asked: Buffer) -> Buffer:
    """A layer of attention for those of the tokens that are asked for."""
    assert isinstance(layer, nn.TransformerEncoderLayer)
    attention = layer.self_attn
    if layer.norm_first:
        assert asked is tokens
        normed = _norm(builder, layer.norm1, tokens)
        hidden = _sum(builder, tokens, _attended(builder, attention, normed, normed))
        return _sum(builder, hidden, _fed(builder, layer, _norm(builder, layer.norm2, hidden)))
    attended = _attended(builder, attention, tokens, asked)
    hidden = _norm(builder, layer.norm1, _sum(builder, asked, attended))
    return _norm(builder, layer.norm2, _sum(builder, hidden, _fed(builder, layer, hidden)))


def _attended(
    builder: Builder, attention: nn.MultiheadAttention, tokens: Buffer, asked: Buffer
) -> Buffer:
    """Queries of what is asked, keys and values of all tokens; the queries come scaled."""
    width, n_heads = attention.embed_dim, attention.num_heads
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    size = width // n_heads
    queries = _linear(builder, asked, weight[:width], bias[:width], scale=size**-0.5)
    pairs = _linear(builder, tokens, weight[width:], bias[width:])
    rows = Buffer(pairs.number, (2 * n_heads, size, tokens.shape[2]))
    means = builder.new((n_heads, size, asked.shape[2]))
    builder.add("attention", means, rows, second=queries)
    joined = Buffer(means.number, asked.shape)
    return _linear(builder, joined, attention.out_proj.weight, attention.out_proj.bias)


def _fed(builder: Builder, layer: nn.TransformerEncoderLayer, tokens: Buffer) -> Buffer:
    """The two linear layers at each token."""
    known = {functional.relu: "relu", functional.gelu: "gelu"}
    first, second = layer.linear1, layer.linear2
    name = known[layer.activation]
    hidden = _linear(builder, tokens, first.weight, first.bias, activation=name)
    return _linear(builder, hidden, second.weight, second.bias)


def _linear(
    builder: Builder, first: Buffer, weight: Tensor, bias: Tensor | None, scale: float = 1.0,
    activation: str = "none",
) -> Buffer:  # fmt: skip
    """A linear layer at each position, a convolution of 1 by 1; its output is scaled."""
    shift = torch.zeros(len(weight)) if bias is None else scale * bias
    tensors = {"weight": weight, "scale": torch.full((len(weight),), scale), "shift": shift}
    out = builder.new((len(weight), *first.shape[1:]))
    return builder.add("convolution", out, first, tensors=tensors, activation=activation)


def _norm(builder: Builder, norm: nn.LayerNorm, tokens: Buffer) -> Buffer:
    """Each token normalized."""
    tensors: dict[str, Values] = {
        "scale": norm.weight, "shift": norm.bias, "weight": norm.eps,
    }  # fmt: skip
    return builder.add("channel_norm", builder.new(tokens.shape), tokens, tensors=tensors)


def _sum(builder: Builder, first: Buffer, second: Buffer) -> Buffer:
    return builder.add("add", builder.new(first.shape), first, second=second)

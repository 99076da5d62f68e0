"""Attention, recurrence and what else tokens need: by C, by NumPy and by PyTorch."""

import itertools
import struct
import subprocess

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from damaged_models import FUZZ, with_crc
from emboscope.errors import DataError
from emboscope.export.packed import read_packed
from emboscope.export.program import ACTIVATIONS, KINDS
from emboscope.export.runtime import SHARED, Runtime, compiler, runtime_source
from packed_networks import SEQUENCES, packed, trained
from packed_steps import computed, content_of, random

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")
NEW = KINDS.index("frame")


def test_a_frame_pads_moves_and_cuts():
    image = np.array([[[1, 2, 3], [4, 5, 6]]], np.float32)
    assert computed("frame", [image], (1, 3, 5), padding=(1, 1)).tolist() == [
        [[0, 0, 0, 0, 0], [0, 1, 2, 3, 0], [0, 4, 5, 6, 0]]
    ]
    assert computed("frame", [image], (1, 1, 1)).tolist() == [[[1]]]
    assert computed("frame", [image], (1, 2, 2), padding=(0, 1)).tolist() == [[[0, 1], [0, 4]]]
    assert computed("frame", [image], (1, 1, 2), padding=(3, 9)).tolist() == [[[0, 0]]]


@pytest.mark.parametrize("n_tokens", [1, 15, 16, 17, 40])
def test_channels_are_normalized_at_each_position(n_tokens):
    tokens, scale, shift = 5 + random(7, 1, n_tokens), random(7), random(7)
    tensors = {"weight": np.array([1e-5]), "scale": scale, "shift": shift}
    found = computed("channel_norm", [tokens], tokens.shape, tensors=tensors)
    columns, *both = (torch.tensor(each).double() for each in (tokens[:, 0].T, scale, shift))
    expected = functional.layer_norm(columns, (7,), *both)
    assert_allclose(found[:, 0].T, expected, atol=1e-5)  # sums of 5 in single precision


@pytest.mark.parametrize("n_queries", [1, 16, 17, 33])
@pytest.mark.parametrize(("n_heads", "width", "n_tokens"), [(1, 1, 1), (2, 3, 5), (3, 6, 43)])
def test_attention_equals_that_of_pytorch(n_heads, width, n_tokens, n_queries):
    pairs, queries = 2 * random(2 * n_heads, width, n_tokens), random(n_heads, width, n_queries)
    keys, values = torch.from_numpy(pairs).reshape(2, n_heads, width, n_tokens).mT
    expected = functional.scaled_dot_product_attention(
        torch.from_numpy(queries).mT, keys, values, scale=1.0
    )
    found = computed("attention", [pairs, queries], queries.shape)
    assert_allclose(found, expected.mT, atol=2e-6)


def test_attention_looks_at_one_token_where_the_scores_are_large():
    pairs = np.zeros((2, 1, 3), np.float32)
    pairs[0, 0], pairs[1, 0] = (300, 400, 0), (5, 6, 7)  # keys; values
    found = computed("attention", [pairs, np.array([[[1, -1]]], np.float32)], (1, 1, 2))
    assert found.tolist() == [[[6, 7]]]


@pytest.mark.parametrize("n_directions", [1, 2])
@pytest.mark.parametrize(("n_channels", "n_units"), [(1, 1), (3, 5), (2, 16), (20, 21)])
def test_an_lstm_equals_that_of_pytorch(n_directions, n_channels, n_units):
    torch.manual_seed(0)
    layer = torch.nn.LSTM(n_channels, n_units, bidirectional=n_directions == 2)
    steps, weights, biases = random(n_channels, 1, 9), [], []
    with torch.no_grad():
        expected = layer(torch.from_numpy(steps[:, 0].T))[0].T.reshape(n_directions, n_units, 9)
        for end in ("", "_reverse")[:n_directions]:
            given, before, *bias = (getattr(layer, f"{name}_l0{end}") for name in
                                    ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))  # fmt: skip
            weights.append(torch.cat([given.T, before.T]).numpy())
            biases.append(sum(bias).numpy())
    tensors = {"weight": np.stack(weights), "shift": np.stack(biases)}
    found = computed("lstm", [steps], expected.shape, tensors=tensors)
    assert_allclose(found, expected, atol=2e-6)


def test_a_blend_is_the_sum_of_the_channels_times_their_shares():
    parts = np.array([[[1, 2]], [[10, 20]]], np.float32)
    assert computed("blend", [parts, np.array([3, 0.5], np.float32)], (1, 1, 2)).tolist() == [
        [[8, 16]]
    ]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("n_columns", [1, 40])
def test_activations_equal_those_of_pytorch(name, n_columns):
    values = 3 * random(6, 1, n_columns)
    tensors = {"weight": np.eye(6), "scale": np.ones(6), "shift": np.zeros(6)}
    found = computed("convolution", [values], values.shape, tensors=tensors, activation=name)
    rule = getattr(functional, name, None) or getattr(torch, name, lambda same: same)
    assert_allclose(found, rule(torch.from_numpy(values)), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_never_a_plausible_answer(bad):
    queries, pairs = random(1, 2, 3), random(2, 2, 5)
    queries[0, 0, 1] = np.nan if np.isnan(bad) else bad
    content = content_of("attention", [pairs.shape, queries.shape], queries.shape)
    given = {"x": pairs.reshape(1, -1), "y": queries.reshape(1, -1)}
    found = Runtime(content).predict_proba(given)[0].reshape(queries.shape)
    assert np.isnan(found[0, :, 1]).all()
    assert np.isfinite(found[0, :, [0, 2]]).all()


@pytest.mark.parametrize(
    ("kind", "shapes", "made"),
    [("attention", [(2, 3, 40), (1, 3, 5)], (1, 3, 5)), ("lstm", [(9, 1, 2)], (1, 30, 2))],
)
def test_scratch_that_is_too_small_for_a_step_is_refused(kind, shapes, made):
    weights = {"weight": np.zeros((1, 39, 120)), "shift": np.zeros((1, 120))}
    tensors = weights if kind == "lstm" else {}
    content = bytearray(content_of(kind, shapes, made, tensors=tensors))
    Runtime(bytes(content))
    n_arena, n_scratch = struct.unpack_from("<2I", content, 32)
    struct.pack_into("<2I", content, 32, n_arena - 1, n_scratch - 1)
    with pytest.raises(DataError, match="malformed"):
        Runtime(bytes(content))


STEPS = {  # shapes of inputs, shape made, tensors, the fields of which none can be one less
    "frame": ([(3, 2, 5)], (3, 4, 4), {}, "c oc"),
    "channel_norm": ([(3, 2, 5)], (3, 2, 5), {"weight": 1, "scale": 3, "shift": 3},
                     "c h w oc oh ow"),
    "attention": ([(4, 3, 5), (2, 3, 6)], (2, 3, 6), {}, "c h oc oh"),
    "lstm": ([(3, 1, 5)], (2, 4, 5), {"weight": 2 * 7 * 16, "shift": 2 * 16}, "c h w oc oh ow"),
    "blend": ([(3, 2, 5), (3, 1, 1)], (1, 2, 5), {}, "h w oh ow"),
}  # fmt: skip
FIELDS = ["kind", "out", "first", "second", "c", "h", "w", "oc", "oh", "ow", "kh", "kw", "sh", "sw",
          "ph", "pw", "weight", "scale", "shift"]  # fmt: skip


def one_step(kind):
    """A model of one step, and where its step begins."""
    shapes, made, sizes, _ = STEPS[kind]
    tensors = {name: np.ones(size) for name, size in sizes.items()}
    content = content_of(kind, shapes, made, tensors=tensors)
    return content, content.index(read_packed(content).steps.tobytes())


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_whose_shapes_or_tensors_do_not_fit_is_refused(kind):
    content, start = one_step(kind)
    Runtime(content)
    *_, tensors, sides = STEPS[kind]
    wrong = [(name, -1) for name in tensors] + [(name, 7) for name in tensors]
    wrong += [("ph", -1), ("pw", -1)] if kind == "frame" else []
    for name in sides.split():
        (old,) = struct.unpack_from("<i", content, start + 4 * FIELDS.index(name))
        wrong.append((name, old - 1))
    for name, value in wrong:
        changed = bytearray(content)
        struct.pack_into("<i", changed, start + 4 * FIELDS.index(name), value)
        with pytest.raises(DataError, match="malformed"):
            Runtime(with_crc(bytes(changed)))


@pytest.mark.parametrize(
    ("kind", "shapes", "made"),
    [
        ("attention", [(4, 3, 5), (2, 3, 5)], (2, 3, 6)),
        ("blend", [(3, 2, 5), (2, 1, 1)], (1, 2, 5)),
    ],
)
def test_a_second_buffer_that_is_too_short_is_refused(kind, shapes, made):
    with pytest.raises(DataError, match="malformed"):
        Runtime(content_of(kind, shapes, made))


def changed_steps():
    """Models, each with one field of one new step changed, in the whole range of fields."""
    content = packed(trained("hybrid_gated", settings=SEQUENCES))
    steps = read_packed(content).steps
    start = content.index(steps.tobytes())
    seen = set()
    for number, step in enumerate(steps):
        shape = (int(step[0]), tuple(step[4:10] > 1))
        if step[0] < NEW or shape in seen:
            continue
        seen.add(shape)
        for field in range(20):
            old = int(step[field])
            for value in (-(2**31), -1, 0, 1, old - 1, old + 1, 2 * old, 65536, 2**31 - 1):
                changed = bytearray(content)
                struct.pack_into("<i", changed, start + 96 * number + 4 * field, value)
                yield with_crc(bytes(changed))


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_no_field_of_a_step_leads_outside_of_the_arena(every, tmp_path):
    (tmp_path / "fuzz.c").write_text(runtime_source() + SHARED + FUZZ)
    program = tmp_path / "fuzz"
    subprocess.run([compiler(), "-std=c99", "-g", "-O1", "-fsanitize=address,undefined",
                    "-fno-sanitize-recover=all", tmp_path / "fuzz.c", "-o", program, "-lm"],
                   check=True)  # fmt: skip
    paths = []
    for number, content in enumerate(itertools.islice(changed_steps(), 0, None, every)):
        paths.append(tmp_path / f"{number}.emb")
        paths[-1].write_bytes(content)
    assert len(paths) > 900 / every
    done = subprocess.run([program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = list(map(int, done.stdout.split()))
    assert sum(counts) == len(paths)
    assert counts[5] > 0.4 * len(paths)
    assert counts[0] > 0.05 * len(paths)  # such as where a buffer lies

"""Packed models: equal to PyTorch, written and read back, refused when damaged."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from damaged_models import with_crc
from emboscope.errors import DataError, SettingsError
from emboscope.export.interpreter import run_packed
from emboscope.export.packed import load_packed, read_packed
from emboscope.export.program import ACTIVATIONS, KINDS, Buffer, Operation, Program, planned
from emboscope.export.translation import program_of
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.encoders import ENCODERS, Cnn2d
from packed_networks import EXPORTED, METHODS, NARROW, SHAPES, packed, trained, used, views


@pytest.mark.parametrize("model", EXPORTED)
def test_a_packed_model_equals_pytorch(model):
    network = trained(model)
    with torch.no_grad():
        expected = network(views()).softmax(1).numpy()
    found = run_packed(read_packed(packed(network)), {n: v.numpy() for n, v in views().items()})
    assert_allclose(found, expected, atol=2e-6)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the inputs matter


@pytest.mark.parametrize("method", METHODS)
def test_quantized_models_equal_pytorch_and_are_smaller(method):
    network, full = trained("hybrid_late", method), trained("hybrid_late")
    with torch.no_grad():
        expected = network(views()).softmax(1).numpy()
    content = packed(network)
    found = run_packed(read_packed(content), {n: v.numpy() for n, v in views().items()})
    assert_allclose(found, expected, atol=2e-6)
    assert len(content) < 0.75 * len(packed(full))


def test_buffers_that_are_needed_at_one_time_do_not_overlap(rng):
    for _ in range(50):
        program, last = random_program(rng, 12)
        offsets, total = planned(program)
        places = [range(at, at + n) for at, n in zip(offsets, program.sizes, strict=True)]
        for early, late in itertools.combinations(range(12), 2):
            if last[early] >= late:  # it is read at or after the step that writes the later one
                assert not set(places[early]) & set(places[late])
        assert total <= sum(program.sizes)


def random_program(rng, n_steps):
    """Sums of earlier buffers, and the last step that reads each."""
    steps, last = [], list(range(n_steps))
    for step in range(n_steps):
        read = [int(n) for n in rng.integers(-1, step, 2)] if step else [-1, -1]
        for number in read:
            if number >= 0:
                last[number] = step
        first, second = (Buffer(number, (1, 1, 1)) for number in read)
        out = Buffer(step, (1, 1, int(rng.integers(1, 30))))
        steps.append(Operation("add", out, first, second))
    last[-1] = n_steps
    return Program({}, tuple(steps), tuple(step.out.size for step in steps), steps[-1].out), last


def test_the_arena_is_reused():
    program = program_of(trained("cnn2d"), {"spectrogram": SHAPES["spectrogram"]})
    _, total = planned(program)
    assert total < 0.6 * sum(program.sizes)


class Other(Cnn2d):
    """Of a package that knows no C."""


def test_what_has_no_form_in_c_is_refused_and_what_has_is_told():
    network = trained("cnn2d")
    network.branch.encoder = Other((1, 32, 37), NARROW)
    with pytest.raises(SettingsError, match="Other has no form in C; expected cnn2d, ") as refusal:
        program_of(network, used(network))
    assert all(name in str(refusal.value) for name in (*ENCODERS, *FUSIONS))
    network = trained("hybrid_sum")
    network.combination = nn.Identity()
    with pytest.raises(SettingsError, match="Identity has no form in C"):
        program_of(network, used(network))


def test_the_documentation_lists_all_kinds_of_steps_in_their_order():
    text = (Path(__file__).parents[2] / "docs" / "compression.md").read_text(encoding="utf-8")
    table = text[text.index("| kind | computes |") : text.index("Activations, after")]
    firsts = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    assert tuple(re.findall(r"`(\w+)`", firsts)) == KINDS
    assert ", ".join(f"`{name}`" for name in ACTIVATIONS) in " ".join(text.split())


def test_weights_that_are_used_twice_are_kept_once():
    network = trained("cnn1d_transformer", settings=NetworkSettings())
    kept = sum(len(tensor.content) for tensor in read_packed(packed(network)).tensors)
    n_parameters = sum(each.numel() for each in network.parameters())
    assert kept < 4.2 * n_parameters
    convolution = network.branch.encoder.shared[0].weight.detach().numpy().tobytes()
    assert packed(network).count(convolution) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: b"", "no packed model"),
        (lambda c: b"EMBOSCOQ" + c[8:], "no packed model"),
        (lambda c: c[:8] + b"\x01" + c[9:], "format version 1; expected 2"),
        (lambda c: c[:-16], "bytes; expected"),
        (lambda c: c[:500] + bytes([c[500] ^ 1]) + c[501:], "its checksum differs"),
    ],
)
def test_damaged_files_are_refused(change, text, tmp_path):
    content = packed(trained("mlp"))
    (tmp_path / "model.emb").write_bytes(change(content))
    with pytest.raises(DataError, match=text):
        load_packed(tmp_path / "model.emb")
    with pytest.raises(DataError, match="not readable"):
        load_packed(tmp_path / "other.emb")


def with_notes(content, old, new):
    at, size = np.frombuffer(content, "<u4", 2, 48)
    notes = content[at : at + size].replace(old, new)
    assert len(notes) == size
    return with_crc(content[:at] + notes + content[at + size :])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"measures": [12]', b'"measures": [11]'),
        (b'"measures": [12]', b'"measures": [-4]'),
        (b'"measures": [12]', b'"measures": "12"'),
        (b'"inputs": {"measures": [12]}, ', b'"inputs":{"measures":[-2,-6]},'),
        (b'"inputs"', b'"outputs'),
        (b'{"classes"', b'["classes"'),
        (b'"inputs": {"measures": [12]}', b'"inputs": {                }'),
    ],
)
def test_notes_that_belie_the_tables_are_refused(old, new):
    content = with_notes(packed(trained("mlp")), old, new)
    with pytest.raises(DataError, match="malformed"):
        read_packed(content)


def test_more_steps_than_bytes_are_refused():
    content = bytearray(packed(trained("mlp")))
    content[24:28] = np.array([1_000_000], "<u4").tobytes()
    with pytest.raises(DataError, match="malformed"):
        read_packed(with_crc(bytes(content)))

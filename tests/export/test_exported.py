"""An exported model as this machine runs it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import emboscope.export.exported as exported
from emboscope.errors import DataError
from emboscope.export import load_exported
from emboscope.export.manifest import read_manifest, write_manifest
from hits_models import segments, tiny_classifier, tiny_export


@pytest.fixture(scope="module")
def expected():
    """What PyTorch says of three segments."""
    return tiny_classifier().predict_proba({"waveform": segments(3)})


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setattr(exported, "compiler", lambda: None)


def test_a_packed_model_runs_in_c(tmp_path, expected):
    model = load_exported(tiny_export(tmp_path / "c"))
    assert model.runtime == "c"
    assert_allclose(model.judge(segments(3)), expected, atol=1e-5)


def test_without_a_compiler_it_runs_in_numpy(tmp_path, expected, no_compiler):
    model = load_exported(tiny_export(tmp_path / "c"))
    assert model.runtime == "numpy"
    assert_allclose(model.judge(segments(3)), expected, atol=1e-5)


def test_without_a_compiler_onnx_beside_it_is_preferred(tmp_path, expected, no_compiler):
    tiny_export(tmp_path / "both", "onnx")
    tiny_export(tmp_path / "both", "c")
    assert load_exported(tmp_path / "both").runtime == "numpy"  # the graph is not of this export
    manifest = read_manifest(tmp_path / "both")
    write_manifest(tmp_path / "both", manifest, (*manifest.files, "model.onnx"))
    model = load_exported(tmp_path / "both")
    assert model.runtime == "onnx"
    assert_allclose(model.judge(segments(3)), expected, atol=1e-5)


def test_an_onnx_export_needs_no_compiler(tmp_path, expected):
    model = load_exported(tiny_export(tmp_path / "onnx", "onnx"))
    assert model.runtime == "onnx"
    assert_allclose(model.judge(segments(3)), expected, atol=1e-5)


def test_only_the_views_that_the_model_reads_are_made(tmp_path):
    model = load_exported(tiny_export(tmp_path / "c"))
    seen = []

    def look(views):
        seen.extend(views)
        return np.zeros((2, 3))

    watched = exported.ExportedModel(model.manifest, model.front_end, "c", look)
    watched.judge(segments(2))
    assert sorted(seen) == ["measures", "spectrogram"]


def test_what_is_no_graph_is_refused_in_one_sentence(tmp_path):
    folder = tiny_export(tmp_path / "onnx", "onnx")
    (folder / "model.onnx").write_bytes(b"Dear colleague")
    write_manifest(folder, read_only(folder), ("model.onnx",))
    with pytest.raises(DataError, match=r"ONNX"):
        load_exported(folder)


def test_what_is_no_packed_model_is_refused_by_c_and_by_numpy(tmp_path, monkeypatch):
    folder = tiny_export(tmp_path / "c")
    (folder / "model.emb").write_bytes(b"Dear colleague")
    write_manifest(folder, read_only(folder), ("model.emb",))
    with pytest.raises(DataError, match="no packed model"):
        load_exported(folder)
    monkeypatch.setattr(exported, "compiler", lambda: None)
    with pytest.raises(DataError, match="no packed model"):
        load_exported(folder)


def read_only(folder):
    """The manifest of a folder, whatever became of its files."""
    from emboscope.export.manifest import Manifest

    values = Manifest.model_validate_json((folder / "manifest.json").read_text())
    return values.model_copy(update={"files": {}})


def test_a_manifest_of_before_is_read_without_its_new_fields(tmp_path):
    folder = tiny_export(tmp_path / "c")
    manifest = read_manifest(folder)
    assert (manifest.trained_on, manifest.carriers_hz, manifest.least_probability) == ("", (), None)

import json

import pytest
import torch
from torch import nn

from emboscope.errors import DataError
from emboscope.export.manifest import (
    NOTICE,
    Input,
    Manifest,
    read_manifest,
    weights_sha256,
    write_manifest,
)


@pytest.fixture
def exported(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    manifest = Manifest(
        classes=("artifact", "gaseous", "solid"),
        front_end={"sfreq": 4385.0},
        inputs=(Input(name="waveform", shape=(2, 1400)),),
        target="onnx",
        files={},
        source_weights_sha256="0" * 64,
    )
    return tmp_path, write_manifest(tmp_path, manifest, ["model.bin"])


def test_a_manifest_read_back_is_the_one_written(exported):
    folder, manifest = exported
    assert read_manifest(folder) == manifest
    assert manifest.notice == NOTICE
    assert {"emboscope", "torch"} <= set(manifest.versions)


def test_a_changed_or_missing_file_is_refused(exported):
    folder, _ = exported
    (folder / "model.bin").write_bytes(b"Weights")
    with pytest.raises(DataError, match=r"model\.bin': missing or changed"):
        read_manifest(folder)
    (folder / "model.bin").unlink()
    with pytest.raises(DataError, match="missing or changed"):
        read_manifest(folder)


def test_an_unknown_format_version_is_refused_with_the_remedy(exported):
    folder, _ = exported
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(values | {"format_version": 2}))
    with pytest.raises(DataError, match="format_version is 2; expected 1. Export again"):
        read_manifest(folder)


def test_an_unreadable_manifest_is_refused(tmp_path):
    remedy = f"expected the folder of an export. .*emboscope export {tmp_path} --out exported"
    with pytest.raises(DataError, match=remedy):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not readable"):
        read_manifest(tmp_path)


def test_the_sum_of_the_weights_changes_with_any_weight():
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    before = weights_sha256(net)
    assert weights_sha256(net) == before
    with torch.no_grad():
        net.bias[0] += 1
    assert weights_sha256(net) != before

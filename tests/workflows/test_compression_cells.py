"""The cell that compresses the model of a fold: one reference for all rows."""

from pathlib import Path

import numpy as np
import pytest

from emboscope.compression.cost import cost
from emboscope.compression.finetune import CompressSettings, compress
from emboscope.compression.quantizers import QuantizerSettings
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.checkpoint import weights_bytes
from emboscope.learning.encoders import Cnn1dTransformer
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.workflows import compression_cells
from emboscope.workflows.compression_cells import (
    CompressionSettings,
    compressed_model,
    full_precision,
    sizes,
)
from emboscope.workflows.model_cells import fold_of, loaded
from emboscope.workflows.tables import read_study
from waves import waves_file

STUDIES = Path(__file__).parents[2] / "studies"
SHORT = {"epochs": 2, "batch": 32}


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    return waves_file(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache folder for all tests of this file."""
    folder = tmp_path_factory.getbasetemp() / "compression-cache"
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(folder))
    return folder


def settings_of(npz, **more):
    return CompressionSettings(
        data=npz, folds=3, model="cnn2d_compact", network=NetworkSettings(compact_width=4),
        training=TrainSettings(epochs=6, batch=32, mixup=0), **more,
    )  # fmt: skip


def compression(**more):
    return CompressSettings.parse({"training": SHORT, **more}, "compression")


def test_full_precision_is_the_reference_of_itself(npz):
    numbers = compressed_model(settings_of(npz), 0)
    assert numbers["mcc"] > 0.8
    assert (numbers["delta_mcc"], numbers["gain"], numbers["rate"]) == (0, 0, 1)
    assert [numbers[f"energy_{mode}"] for mode in ("honest", "slides", "legacy")] == [0, 0, 0]
    assert np.isnan(numbers["sparsity"])
    assert numbers["packed_kb"] > 4 * numbers["parameters"] / 1000


def test_a_compressed_model_is_smaller_and_judged_against_the_kept_one(npz):
    whole = compressed_model(settings_of(npz), 0)
    small = compressed_model(settings_of(npz, compression=compression(method="ttq")), 0)
    assert small["delta_mcc"] == pytest.approx(small["mcc"] - whole["mcc"])
    assert 0 < small["sparsity"] < 1
    assert small["rate"] == pytest.approx(1 - small["gain"])
    assert small["gain"] < small["gain_quantized"] < 1
    assert small["packed_kb"] < whole["packed_kb"]
    assert (small["parameters"], small["macs_m"]) == (whole["parameters"], whole["macs_m"])
    assert small["energy_honest"] > 0 < small["energy_slides"]


def test_all_rows_of_a_fold_share_one_model_that_is_trained_once(npz, monkeypatch):
    settings = settings_of(npz)
    data = loaded(settings.full)
    fold = fold_of(data, settings.full, 1)
    first = full_precision(settings.full, data, fold, 1)

    def never(*arguments):
        raise AssertionError

    monkeypatch.setattr(compression_cells, "fitted", never)
    compressed = settings.model_copy(update={"compression": compression()})
    again = full_precision(compressed.full, data, fold, 1)
    rows = data.rows(fold.test)
    assert np.array_equal(first.predict_proba(rows), again.predict_proba(rows))
    for other in ({"seed": 2}, {"folds": 4}, {"training": TrainSettings(epochs=7, batch=32)}):
        seed = other.pop("seed", 1)
        with pytest.raises(AssertionError):
            full_precision(settings.model_copy(update=other).full, data, fold, seed)


def test_a_teacher_is_another_model_of_the_same_fold(npz, monkeypatch):
    taught = []

    def watched(*arguments, settings, **options):
        taught.append(settings.teacher)
        return compress(*arguments, settings=settings, **options)

    monkeypatch.setattr(compression_cells, "compress", watched)
    method = compression(method="ttq", teacher={"weight": 0.5, "temperature": 2.0})
    settings = settings_of(
        npz,
        compression=method,
        teacher={
            "network": {"compact_width": 4},
            "training": {"epochs": 3, "batch": 32},
        },
    )
    compressed_model(settings, 0)
    (found,) = taught
    assert (found.weight, found.temperature) == (0.5, 2.0)
    other = SignalClassifier.load(found.model)
    assert (other.model, other.training.epochs) == ("hybrid_late", 3)
    data = loaded(settings.full)
    fold = fold_of(data, settings.full, 0)
    again = full_precision(settings.teaching, data, fold, 0)
    assert weights_bytes(again.network_) == weights_bytes(other.network_)
    alone = settings.model_copy(update={"teacher": None})
    compressed_model(alone, 0)
    assert taught[1].model is None


def test_a_teacher_without_a_say_is_refused(npz):
    for method in (None, compression(method="ttq")):
        settings = settings_of(npz, compression=method, teacher={"model": "cnn1d_compact"})
        with pytest.raises(SettingsError, match="without compression.teacher.weight"):
            compressed_model(settings, 0)


def test_of_candidates_the_best_on_validation_that_is_small_enough_is_taken(npz, monkeypatch):
    shares = (0.2, 0.6, 0.9)
    judged = dict(zip(shares, (0.9, 0.7, 0.8), strict=True))
    candidates = tuple(QuantizerSettings(sparsity=share) for share in shares)

    def planted(model, data, rows):
        zeros = cost(model.network_).sparsity
        return judged[min(shares, key=lambda share: abs(share - zeros))]

    monkeypatch.setattr(compression_cells, "_mcc", planted)

    def taken(min_gain):
        settings = settings_of(
            npz, compression=compression(method="magnitude"), candidates=candidates,
            min_gain=min_gain,
        )  # fmt: skip
        return compressed_model(settings, 0)["sparsity"]

    assert taken(0.0) == pytest.approx(0.2, abs=0.01)
    assert taken(0.3) == pytest.approx(0.9, abs=0.01)
    assert taken(1.0) == pytest.approx(0.9, abs=0.01)  # none is small enough: the smallest


def test_a_model_without_weights_is_refused(npz):
    settings = settings_of(npz).model_copy(update={"model": "gradient_boosting"})
    with pytest.raises(DataError, match="gradient_boosting has no weights"):
        compressed_model(settings, 0)


class _Own(Cnn1dTransformer):
    """An encoder that only its owner knows."""


def test_a_network_has_a_packed_size_unless_a_part_of_it_has_no_form_in_c():
    views = {"waveform": np.random.default_rng(0).standard_normal((20, 1, 178))}
    model = SignalClassifier("cnn1d_transformer", training=TrainSettings(epochs=1, batch=10))
    model.fit(views, np.arange(20) % 2, validation=np.arange(4))
    found = sizes(model, model, {"waveform": views["waveform"][:1]})
    assert found["parameters"] == 109_942
    assert 440 < found["packed_kb"] < 480
    model.network_.branch.encoder.__class__ = _Own
    assert np.isnan(sizes(model, model, {"waveform": views["waveform"][:1]})["packed_kb"])


@pytest.mark.parametrize("path", sorted(STUDIES.glob("compression_*.toml")), ids=lambda p: p.stem)
def test_each_study_of_compression_measures_the_reference_beside_its_rows(path):
    study = read_study(path)
    for table in study.settings.tables:
        references = set()
        for row in table.rows:
            settings = study.parameters[table.name, row.label]
            if settings.compression is None:
                references.add(settings.full.model_dump_json())
            assert settings.full.model_dump_json() in references

"""The cell that trains a model on a fold: folds, wrong labels, gain, and figures by hand."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from emboscope.datasets import hits
from emboscope.datasets.hits import Hits
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import check_disjoint
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.classical import FeatureClassifier
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.workflows import model_cells
from emboscope.workflows.evaluate import probabilities
from emboscope.workflows.model_cells import (
    ModelSettings,
    baseline_mcc,
    fold_of,
    judged,
    loaded,
    trained_model,
    training_labels,
)
from emboscope.workflows.profiled_data import in_profile
from emboscope.workflows.table_runs import RunOptions, run_study
from emboscope.workflows.tables import read_study
from waves import bursts, waves_file

QUICK = {
    "folds": 3,
    "network": NetworkSettings(compact_width=4),
    "training": TrainSettings(epochs=4, batch=32),
}


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    return waves_file(tmp_path_factory.mktemp("data"))


def test_a_model_is_scored_beside_its_members_and_the_features(npz):
    numbers = trained_model(ModelSettings(data=npz, **QUICK), 0)
    assert numbers["mcc"] > 0.8
    members = {numbers["mcc_member_0"], numbers["mcc_member_1"]}
    assert any(numbers["gain"] == pytest.approx(numbers["mcc"] - one) for one in members)
    assert {"over_features", "calibration_error", "brier", "recall_0", "recall_1"} <= set(numbers)
    assert numbers["parameters"] > 1000
    assert numbers["macs_m"] > 0.01


@pytest.mark.parametrize("changes", [{}, {"labels": "soft"}])
def test_a_member_is_preferred_by_the_labels_that_are_given(changes, npz, monkeypatch):
    """Wrong ones too: nobody has the right ones to choose by."""
    settings = ModelSettings(data=npz, noise=0.3, **changes, **QUICK)
    whole = loaded(settings)
    data = replace(whole, soft_labels=np.eye(2)[whole.y])
    monkeypatch.setattr(model_cells, "loaded", lambda *_: data)
    fold = fold_of(data, settings, 0)
    rows = np.concatenate([fold.train, fold.validation])
    y, _ = training_labels(data, rows, settings, 0)
    given = y.argmax(axis=1) if y.ndim == 2 else y
    said = dict(zip(rows, given, strict=True))
    assert 2 < sum(said[row] != data.y[row] for row in fold.validation) < 14  # of 24
    number = {data.views["waveform"][row].tobytes(): row for row in range(len(data.y))}
    validated = []

    def members(self, views):
        """The first is always right; the second says what validating rows were given, else errs."""
        at = [number[each.tobytes()] for each in views["waveform"]]
        if set(at) <= set(fold.validation):
            validated.extend(at)
        second = [said[row] if row in fold.validation else 1 - data.y[row] for row in at]
        return np.stack([np.eye(2)[data.y[at]], np.eye(2)[second]], axis=1)

    monkeypatch.setattr(SignalClassifier, "member_proba", members)
    numbers = trained_model(settings, 0)
    assert sorted(validated) == sorted(fold.validation)
    assert (numbers["mcc_member_0"], numbers["mcc_member_1"]) == (1, -1)
    assert numbers["gain"] == pytest.approx(numbers["mcc"] + 1)


def test_rows_that_are_left_out_do_not_validate(npz):
    settings = ModelSettings(data=npz, noise=0.3, drop_noisy=True)
    data = loaded(settings)
    fold = fold_of(data, settings, 0)
    rows = np.concatenate([fold.train, fold.validation])
    _, kept = training_labels(data, rows, settings, 0)
    held, y = model_cells._validating(data, fold, settings, 0)
    assert list(held) == [row for row in rows[kept] if row in fold.validation]
    assert 10 < len(held) < 24
    assert np.array_equal(y, data.y[held])


@pytest.mark.parametrize("rows", [0, 5])
def test_no_member_is_preferred_by_no_rows_or_rows_of_one_class(rows, npz, monkeypatch):
    held = np.arange(rows), np.zeros(rows, int)
    monkeypatch.setattr(model_cells, "_validating", lambda *_: held)
    numbers = trained_model(ModelSettings(data=npz, **QUICK), 0)
    assert np.isnan(numbers["gain"])
    assert np.isfinite(numbers["mcc_member_1"])


def test_repeats_are_the_folds_and_every_row_is_tested_once(npz):
    settings, data = ModelSettings(data=npz, **QUICK), loaded(ModelSettings(data=npz))
    tests = [fold_of(data, settings, seed).test for seed in range(3)]
    assert sorted(np.concatenate(tests)) == list(range(240))
    again = fold_of(data, settings, 3).test
    assert not np.array_equal(again, tests[0])


def test_labels_are_made_wrong_at_the_rate_and_can_be_left_out(npz):
    data, rows = loaded(ModelSettings(data=npz)), np.arange(200)
    settings = ModelSettings(data=npz, noise=0.3)
    y, kept = training_labels(data, rows, settings, seed=1)
    assert 0.2 < np.mean(y != data.y[rows]) < 0.4
    assert kept.all()
    dropped = settings.model_copy(update={"drop_noisy": True})
    again, kept = training_labels(data, rows, dropped, seed=1)
    assert np.array_equal(again, y)
    assert np.array_equal(kept, y == data.y[rows])


def test_soft_labels_need_raters(npz):
    with pytest.raises(DataError, match="labels 'soft': data set .* has no raters"):
        training_labels(
            loaded(ModelSettings(data=npz)), np.arange(4), ModelSettings(data=npz, labels="soft"), 0
        )


def test_soft_labels_are_for_networks_and_symmetric_noise(npz):
    data, rows = loaded(ModelSettings(data=npz)), np.arange(4)
    with pytest.raises(SettingsError, match="'svm' learns from classes alone"):
        training_labels(data, rows, ModelSettings(data=npz, labels="soft", model="svm"), 0)
    asymmetric = ModelSettings(data=npz, labels="soft", noise=0.1, noise_kind="asymmetric")
    with pytest.raises(SettingsError, match="expected 'symmetric' for soft labels"):
        training_labels(data, rows, asymmetric, 0)


def test_a_refitted_cell_tests_members_that_saw_the_validation_part(npz, monkeypatch):
    seen = []
    fit = SignalClassifier.fit

    def counted(self, views, y, *args, **options):
        seen.append((len(y), len(options["validation"])))
        return fit(self, views, y, *args, **options)

    monkeypatch.setattr(SignalClassifier, "fit", counted)
    settings = ModelSettings(data=npz, refit=True, **QUICK)
    numbers = trained_model(settings, 0)
    assert seen == [(160, 24), (160, 0)]
    assert np.isfinite(numbers["validation_mcc"])
    members = {numbers["mcc_member_0"], numbers["mcc_member_1"]}
    assert any(numbers["gain"] == pytest.approx(numbers["mcc"] - one) for one in members)
    once = trained_model(settings.model_copy(update={"refit": False}), 0)
    assert numbers["brier"] != once["brier"]
    assert numbers["validation_loss"] == pytest.approx(once["validation_loss"])


def test_the_epoch_of_a_refitted_cell_cannot_be_chosen(npz):
    chosen = QUICK["training"].model_copy(update={"keep": "best"})
    settings = ModelSettings(data=npz, refit=True, **{**QUICK, "training": chosen})
    with pytest.raises(SettingsError, match="refit: the epoch is to be chosen by rows"):
        trained_model(settings, 0)


def test_a_refitted_cell_validates_the_members_that_did_not_see_those_rows(npz, monkeypatch):
    asked = []
    member_proba = SignalClassifier.member_proba

    def watched(self, views):
        asked.append((id(self), len(views["waveform"])))
        return member_proba(self, views)

    monkeypatch.setattr(SignalClassifier, "member_proba", watched)
    trained_model(ModelSettings(data=npz, refit=True, **QUICK), 0)
    (final, n_tested), (first, n_validated) = asked
    assert final != first
    assert (n_tested, n_validated) == (80, 24)


def test_a_refitted_baseline_learned_from_all_rows(npz, monkeypatch):
    seen = []
    fit = FeatureClassifier.fit

    def counted(self, views, y, groups=None, validation=None, **options):
        seen.append(len(y) - (0 if validation is None else len(validation)))
        return fit(self, views, y, groups, validation, **options)

    monkeypatch.setattr(FeatureClassifier, "fit", counted)
    kind = loaded(ModelSettings(data=npz)).group_kind
    assert baseline_mcc(npz, kind, 3, 0, refit=True) > 0.8
    assert seen == [136, 160]


class OfOneClass:
    classes_ = np.array([0])

    def predict_proba(self, views):
        return np.ones((len(views["waveform"]), 1))


def test_a_class_that_was_not_learned_counts_as_never_found(npz):
    data = loaded(ModelSettings(data=npz))
    p = probabilities(OfOneClass(), data, np.arange(4))
    numbers = judged(p, data, np.arange(4))
    assert numbers["recall_0"] == 1
    assert numbers["recall_1"] == 0
    assert numbers["brier"] == pytest.approx(1.0)


def test_wrong_labels_cost_less_when_left_out(npz):
    rough = {**QUICK, "training": TrainSettings(epochs=6, batch=32, mixup=0.0)}
    noisy = ModelSettings(data=npz, model="cnn1d_compact", noise=0.4, **rough)
    clean = noisy.model_copy(update={"drop_noisy": True})
    assert trained_model(clean, 0)["mcc"] > trained_model(noisy, 0)["mcc"]


def test_released_views_are_scaled_row_by_row(npz):
    data = loaded(ModelSettings(data=npz))
    released = in_profile(data, "released")
    waveform = released.views["waveform"]
    assert waveform.min() == 0
    assert waveform.max() == 1
    assert released.views["spectrogram"].shape == data.views["spectrogram"].shape
    assert released.views["spectrogram"].max() > data.views["spectrogram"].max()


def test_complex_signals_have_no_released_form(npz):
    data = loaded(ModelSettings(data=npz))
    two = data.front_end.model_copy(update={"n_channels": 2})
    with pytest.raises(SettingsError, match="no released form"):
        in_profile(replace(data, front_end=two), "released")


def test_other_representations_are_views_of_the_same_signals(npz):
    settings = ModelSettings(
        data=npz,
        views={
            "mel": {"kind": "mel", "n_fft": 64, "n_mels": 12},
            "spectrogram": {"kind": "spectrogram", "hop": 8},
        },
    )
    data, plain = loaded(settings), loaded(ModelSettings(data=npz))
    assert np.array_equal(data.views["waveform"], plain.views["waveform"])
    assert data.views["spectrogram"].shape[3] < plain.views["spectrogram"].shape[3]
    assert data.views["mel"].shape[0] == 240
    assert np.array_equal(data.front_end.compute(data.front_end.signal_of(
        data.views["waveform"][:3]))["mel"], data.views["mel"][:3])  # fmt: skip


def test_an_unknown_representation_is_refused(npz):
    with pytest.raises(SettingsError, match=r"views\.views\.odd: .*'what'"):
        loaded(ModelSettings(data=npz, views={"odd": {"kind": "what"}}))


STUDY = """
title = "Own HITS"

[[tables]]
name = "own"
cell = "model"
repeats = 1
columns = ["mcc"]
shared = { data = "hits", folds = 2, model = "svm" }

[[tables.rows]]
label = "features"
"""


@pytest.fixture
def own_hits(tmp_path):
    """Eight patients whose classes differ in level, as an HDF5 of HITS."""
    rng = np.random.default_rng(3)
    y = np.arange(96) % 3
    path = tmp_path / "clinic.h5"
    with h5py.File(path, "w") as file:
        file["iq"], file["class"] = bursts(y, rng), y
        file["patient"] = np.repeat(np.arange(8), 12)
    return path


def test_a_study_runs_on_ones_own_hits_and_keeps_its_tables_apart(own_hits, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(STUDY)
    result = run_study(path, RunOptions(data=own_hits))
    assert result.folder == str(tmp_path / "results" / "mine-clinic")
    assert not result.tables[0].rows[0].simulated
    assert not (tmp_path / "results" / "mine").exists()


def test_data_that_no_row_asks_for_or_that_is_missing_is_refused(npz, own_hits, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(STUDY.replace('"hits"', '"esr"'))
    with pytest.raises(SettingsError, match="no row on simulated patients; expected one"):
        run_study(path, RunOptions(data=own_hits))
    path.write_text(STUDY)
    with pytest.raises(DataError, match="nothing.h5': not found; expected a study or an HDF5"):
        run_study(path, RunOptions(data=tmp_path / "nothing.h5"))


def _few_hits(settings, _progress):
    """Six segments of each patient, without a simulation."""
    patients = np.repeat(np.arange(settings.simulation.n_patients), 6)
    rng = np.random.default_rng(settings.simulation.seed)
    segments = rng.standard_normal((patients.size, 2, 1400)).astype(np.float32)
    y = np.tile(np.arange(3), 2 * settings.simulation.n_patients)
    return Hits(segments, y, np.repeat(y[:, None], 3, axis=1).astype(np.int8), patients, 0.0 * y)


def test_each_repeat_of_a_cohort_has_patients_of_its_own_of_whom_two_fifths_are_tested(monkeypatch):
    monkeypatch.setattr(hits, "simulated_hits", _few_hits)
    settings = ModelSettings(data="hits", split="cohort")
    one, other = loaded(settings, 0), loaded(settings, 1)
    assert not np.array_equal(one.views["waveform"], other.views["waveform"])
    fold = fold_of(one, settings, 0)
    check_disjoint(fold, one.groups)
    rows = [fold.train, fold.validation, fold.test]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(540))
    assert len(np.unique(one.groups[fold.test])) == 36
    assert 0.1 < len(fold.validation) / 324 < 0.2


def test_data_of_ones_own_in_place_of_a_cohort_are_split_in_folds_of_patients(npz, tmp_path):
    path = tmp_path / "cohorts.toml"
    path.write_text(
        'title = "c"\n[[tables]]\nname = "t"\ncell = "model"\ncolumns = ["mcc"]\n'
        '[[tables.rows]]\nlabel = "cohort"\ndata = "hits"\nsplit = "cohort"\n'
        '[[tables.rows]]\nlabel = "rows"\ndata = "hits"\nsplit = "row"\n'
        '[[tables.rows]]\nlabel = "real"\ndata = "esr"\n'
    )
    study = read_study(path, Path(npz))
    of = study.parameters
    assert (of["t", "cohort"].data, of["t", "cohort"].split, of["t", "cohort"].folds) == (
        npz,
        None,
        5,
    )
    assert study.settings.tables[0].test_share == 0.25
    assert study.settings.tables[0].note.startswith("Folds of patients;")
    assert read_study(path).settings.tables[0].test_share is None
    assert (of["t", "rows"].data, of["t", "rows"].split) == (npz, "row")
    assert of["t", "real"].data == "esr"
    assert read_study(path).parameters["t", "cohort"].split == "cohort"


def test_the_exponent_of_a_row_is_that_of_its_loss_and_its_noise_is_told(npz, monkeypatch):
    monkeypatch.setattr(model_cells, "baseline_mcc", lambda *_: 0.0)
    gce = QUICK["training"].model_copy(update={"loss": "gce", "epochs": 1})
    numbers = trained_model(ModelSettings(data=npz, noise=0.1, **{**QUICK, "training": gce}), 0)
    assert (numbers["noise"], numbers["q"]) == (0.1, 0.7)
    for model, training in (
        ("tree", gce),
        ("cnn1d_compact", gce.model_copy(update={"loss": "ce"})),
    ):
        settings = ModelSettings(data=npz, model=model, **{**QUICK, "training": training})
        assert np.isnan(trained_model(settings, 0)["q"])


@pytest.mark.parametrize("kind", ["patient", "row"])
def test_a_fixed_test_part_is_tested_in_every_repeat(npz, kind):
    data = loaded(ModelSettings(data=npz))
    y = data.y.copy()
    y[[0, 239]] = -1
    groups = data.groups if kind == "patient" else np.arange(240)
    held = np.unique(groups)[-40 if kind == "row" else -5 :]
    data = replace(data, y=y, groups=groups, group_kind=kind, test_groups=held)
    parts = [fold_of(data, ModelSettings(data=npz, split="fixed"), seed) for seed in range(2)]
    for part in parts:
        assert part.test.tolist() == list(range(200, 239))  # the last one has no label
        assert sorted([*part.train, *part.validation]) == list(range(1, 200))
        assert 0.1 < len(part.validation) / 199 < 0.2
    if kind == "patient":
        check_disjoint(parts[0], data.groups)
    assert not np.array_equal(parts[0].validation, parts[1].validation)


def test_a_fixed_test_part_that_is_not_there_is_refused(npz):
    settings = ModelSettings(data=npz, split="fixed")
    with pytest.raises(DataError, match="split 'fixed': data set .* has no fixed test part"):
        fold_of(loaded(settings), settings, 0)


def test_a_cohort_of_data_that_is_not_simulated_is_refused(npz):
    with pytest.raises(SettingsError, match=r"cannot be simulated anew; expected hits"):
        loaded(ModelSettings(data=npz, split="cohort"))

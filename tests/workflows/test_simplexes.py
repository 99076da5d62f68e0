"""Pictures of the soft labels of a study: which labels, and when they are drawn."""

import re
from dataclasses import replace

import numpy as np
import pytest

from emboscope.datasets.hits import segments_dataset
from emboscope.errors import SettingsError
from emboscope.learning.label_noise import noise_soft
from emboscope.workflows import model_cells, simplexes
from emboscope.workflows.cells import CELLS
from emboscope.workflows.table_runs import RunOptions, run_study
from emboscope.workflows.tables import read_study
from waves import bursts

STUDY = """
title = "Labels"
[[tables]]
name = "plain"
cell = "model"
repeats = 1
columns = ["mcc"]
shared = { data = "hits", folds = 3, model = "cnn1d_compact" }
[[tables.rows]]
label = "hard"
[[tables.rows]]
label = "soft"
labels = "soft"
[[tables.rows]]
label = "soft, another loss"
labels = "soft"
training = { loss = "jsd" }
[[tables]]
name = "wrong"
cell = "model"
repeats = 1
columns = ["mcc"]
shared = { data = "hits", folds = 3, noise = 0.5, labels = "soft", model = "cnn1d_compact" }
[[tables.rows]]
label = "soft"
[[simplexes]]
name = "labels"
tables = ["plain", "wrong"]
"""


@pytest.fixture
def data(monkeypatch, rng):
    """Thirty segments of six patients, each with a distribution of its own."""
    y = np.arange(30) % 3
    soft = rng.dirichlet([1, 1, 1], 30)
    found = segments_dataset("hits", bursts(y, rng), y, np.arange(30) // 5, soft, None)
    monkeypatch.setattr(model_cells, "source", lambda name: found)
    model_cells._loaded.cache_clear()
    yield found
    model_cells._loaded.cache_clear()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Its cells measure nothing."""
    cell = replace(CELLS["model"], measure=lambda settings, seed, progress: {"mcc": 0.5})
    monkeypatch.setitem(CELLS, "model", cell)
    path = tmp_path / "labels.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def clouds(monkeypatch):
    """What is drawn."""
    seen = []
    monkeypatch.setattr(
        simplexes, "simplex_figure", lambda clouds, classes: seen.append(clouds) or b"picture"
    )
    return seen


def test_the_labels_that_are_learned_from_are_drawn_once_for_each_share_of_wrong_ones(
    data, study, clouds
):
    run_study(study)
    ((right, wrong),) = clouds
    settings = read_study(study).parameters["plain", "soft"]
    fold = model_cells.fold_of(data, settings, 0)
    rows = np.concatenate([fold.train, fold.validation])
    assert right.title == "hits (simulated)"
    assert np.array_equal(right.shares, data.soft_labels[rows])
    assert np.array_equal(right.y, data.y[rows])
    assert wrong.title == "hits (simulated), 50 % wrong"
    expected = noise_soft(data.soft_labels[rows], 0.5, np.random.default_rng([0, 11]))
    assert np.array_equal(wrong.shares, expected)
    assert not np.array_equal(wrong.shares, right.shares)
    assert (study.parent / "results/labels/labels.png").read_bytes() == b"picture"


def test_a_picture_that_is_there_is_drawn_again_only_where_something_is_measured(
    data, study, clouds
):
    run_study(study)
    run_study(study)
    assert len(clouds) == 1
    run_study(study, RunOptions(force=True))
    assert len(clouds) == 2
    (study.parent / "results/labels/labels.png").unlink()
    run_study(study, RunOptions(only=("wrong",)))
    assert len(clouds) == 3
    assert [cloud.title for cloud in clouds[2]] == [cloud.title for cloud in clouds[0]]
    assert len(clouds[2]) == 2  # of both of its tables


def test_labels_are_those_of_the_first_repeat_that_is_run(data, study, clouds):
    settings = read_study(study).parameters["plain", "soft"]
    study.write_text(STUDY.replace("repeats = 1", "repeats = 1\nquick_repeats = 1", 1))
    run_study(study, RunOptions(seed=1))
    fold = model_cells.fold_of(data, settings, 1)
    rows = np.concatenate([fold.train, fold.validation])
    assert np.array_equal(clouds[0][0].shares, data.soft_labels[rows])
    study.write_text(STUDY.replace('name = "wrong"', 'name = "wrong"\nquick_repeats = 0'))
    run_study(study, RunOptions(quick=True))
    assert [cloud.title for cloud in clouds[1]] == ["hits (simulated)"]


def test_rows_that_are_left_out_are_not_drawn(data, study, clouds):
    study.write_text(STUDY.replace("noise = 0.5,", "noise = 0.5, drop_noisy = true,"))
    run_study(study)
    _, wrong = clouds[0]
    assert 0 < len(wrong.shares) < len(clouds[0][0].shares)


def test_a_split_that_cannot_be_draws_nothing_and_leaves_the_failures(data, study, clouds):
    study.write_text(STUDY.replace("folds = 3", "folds = 9"))
    run_study(study)  # its cells measure nothing
    assert not clouds


def test_a_table_that_is_not_run_draws_nothing(data, study, clouds):
    study.write_text(STUDY.replace('tables = ["plain", "wrong"]', 'tables = ["wrong"]'))
    run_study(study, RunOptions(only=("plain",)))
    assert not clouds


def test_two_classes_or_data_without_raters_have_no_picture(data, study, clouds, monkeypatch):
    for other in (replace(data, soft_labels=None), replace(data, classes=("other", "embolus"))):
        monkeypatch.setattr(model_cells, "source", lambda name, other=other: other)
        model_cells._loaded.cache_clear()
        run_study(study, RunOptions(force=True))
    assert not clouds
    assert not (study.parent / "results/labels/labels.png").exists()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            ('tables = ["plain", "wrong"]', 'tables = ["plain", "rong"]'),
            "study 'labels.toml': simplex 'labels': 'rong' is no table with a row of labels = "
            "'soft'; expected plain, wrong. Mend its tables.",
        ),
        (('labels = "soft"', 'labels = "hard"'), "expected one. Mend its tables."),
        (('tables = ["plain", "wrong"]', "tables = []"), "simplexes.0.tables"),
        (('tables = ["plain", "wrong"]', 'table = "plain"'), "simplexes.0.table"),
        (('name = "labels"', 'name = "../labels"'), "simplexes.0.name"),
    ],
)
def test_a_simplex_of_no_soft_labels_is_refused_before_anything_is_measured(
    changed, sentence, study
):
    study.write_text(STUDY.replace(*changed))
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        run_study(study)


def test_two_pictures_of_one_name_are_refused(study):
    figure = '[[figures]]\nname = "labels"\ntables = ["plain"]\nx = "mcc"\n'
    study.write_text(STUDY + figure)
    with pytest.raises(SettingsError, match="two figures 'labels'"):
        read_study(study)

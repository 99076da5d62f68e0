"""Classifiers of the studies: what they learn from, and how long."""

import numpy as np
import pytest

from emboscope.errors import SettingsError
from emboscope.workflows import classification_cells
from emboscope.workflows.annotation_cells import Labeled
from emboscope.workflows.cells import CELLS
from emboscope.workflows.classification_cells import (
    BUDGETS,
    TARGETS,
    ClassifySettings,
    LearningSettings,
    classify,
)
from emboscope.workflows.prepared import Images


def images(rng, n):
    """Two classes of noise that differ in level."""
    y = np.arange(n) % 2
    return (rng.standard_normal((n, 1, 8, 8)) + 2 * y[:, None, None, None]).astype(np.float32), y


@pytest.fixture
def labeled(rng):
    """Every eighth sample labeled, and every second after propagation; one of those is wrong."""
    X, y = images(rng, 64)
    test_X, test_y = images(rng, 40)
    given = np.where(np.arange(64) % 8 < 2, y, -1)
    labels = np.where(np.arange(64) % 4 < 2, y, -1)
    labels[5] = 0
    soft = np.where(labels[:, None] >= 0, np.where(labels[:, None] == [0, 1], 0.9, 0.1), np.nan)
    source = Images(X, y, None, None, y, test_X, test_y)
    return Labeled(source, given, labels, soft, 0.5, 0.0, 0.0)


@pytest.fixture
def short(monkeypatch, labeled):
    """60 steps of 16 rows, on the labels above."""
    monkeypatch.setattr(classification_cells, "_N_STEPS", 60)
    monkeypatch.setattr(classification_cells, "_BATCH", 16)
    monkeypatch.setattr(classification_cells, "label", lambda *_: labeled)


@pytest.mark.parametrize(
    ("targets", "trained", "right"),
    [("given", 16, 1), ("propagated", 32, 31 / 32), ("soft", 32, 31 / 32), ("true", 64, 1)],
)
def test_every_kind_of_target_is_learned_from(short, targets, trained, right):
    settings = ClassifySettings(targets=targets)
    numbers = CELLS["classification"].measure(settings, 0, lambda *_: None)
    assert (numbers["trained"], numbers["labels_right"]) == (trained, right)
    assert numbers["accuracy"] > 0.9
    assert numbers["accuracy"] == pytest.approx((numbers["accuracy_0"] + numbers["accuracy_1"]) / 2)


def test_given_labels_are_certain_where_labels_are_soft(labeled):
    soft = TARGETS["soft"](labeled)
    assert soft[labeled.given >= 0].max(axis=1).tolist() == [1.0] * 16
    assert soft[4].tolist() == [0.9, 0.1]


@pytest.mark.parametrize("loss", ["ce", "gce", "jsd"])
def test_same_seed_gives_the_same_numbers(short, labeled, loss):
    source = labeled.source
    parts = (source.images, source.y, source.test_images, source.test_y)
    once, again = (classify(*parts, LearningSettings(loss=loss), 3) for _ in range(2))
    assert once == again


def test_fast_budget_takes_as_many_steps_for_few_rows_as_for_many():
    few, many = BUDGETS["fast"](1500), BUDGETS["fast"](15_000)
    assert few.epochs * 1500 == pytest.approx(many.epochs * 15_000, rel=0.02)
    assert few.batch == many.batch


def test_unknown_budget_is_refused(short, labeled):
    source = labeled.source
    with pytest.raises(SettingsError, match="budget 'slow': unknown; expected fast, published"):
        classify(source.images, source.y, source.test_images, source.test_y,
                 LearningSettings(budget="slow"))  # fmt: skip

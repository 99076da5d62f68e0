"""Cells of the studies of annotation, on the digits that need no download."""

import numpy as np
import pytest

from emboscope.errors import DataError
from emboscope.workflows import annotation_cells, prepared, soft_cells
from emboscope.workflows.annotation_cells import LabelSettings, label, propagation
from emboscope.workflows.query_cells import QuerySettings, labels_by_budget, labels_needed

DIGITS = {"data": "digits", "features": "pixels", "projection": "pca"}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))


def test_a_tenth_of_each_class_is_given():
    labeled = label(LabelSettings(**DIGITS), seed=3)
    counts = np.bincount(labeled.source.y)
    assert np.bincount(labeled.given[labeled.given >= 0]).tolist() == (counts // 10).tolist()


def test_equal_coverage_keeps_as_many_labels_as_lq_knn():
    gated = propagation(LabelSettings(**DIGITS, scale="max"), 0)
    kept = propagation(
        LabelSettings(**DIGITS, scale="max", method="spreading", equal_coverage=True), 0
    )
    assert kept["coverage"] == gated["coverage"] < 1


@pytest.mark.slow
def test_the_worst_map_scores_least():
    scores = {
        name: propagation(LabelSettings(data="digits", features="pixels", map=name), 0)[
            "silhouette"
        ]
        for name in ("best", "middle", "worst")
    }
    assert scores["best"] >= scores["middle"] >= scores["worst"]


def test_test_images_are_in_no_map():
    source = prepared.load_images("digits", 0)
    made = prepared.prepare(prepared.PrepareSettings(**DIGITS))
    assert len(made.features) == len(source.images) == len(made.maps[0])
    assert len(source.test_images) == 359


def test_patients_are_drawn_whole(rng):
    groups = rng.integers(0, 20, 300)
    source = prepared.Images(
        np.zeros((300, 1, 2, 2)), np.zeros(300, int), groups, None, np.zeros(300, int),
        np.zeros((1, 1, 2, 2)), np.zeros(1, int),
    )  # fmt: skip
    chosen = annotation_cells.random_patients(
        prepared.Prepared(source, np.zeros((300, 2)), ()), 0.1, 0
    )
    assert not set(groups[chosen]) & set(np.delete(groups, chosen))
    assert 0.1 <= len(chosen) / 300 < 0.2


def test_soft_labels_equal_to_the_raters_are_at_no_distance(monkeypatch):
    raters = np.array([[1.0, 0], [0.25, 0.75], [0.75, 0.25], [1, 0]])
    source = prepared.Images(
        np.zeros((4, 1, 2, 2)), np.array([0, 1, 0, 0]), None, raters, np.array([0, 1, 0, 0]),
        np.zeros((1, 1, 2, 2)), np.zeros(1, int),
    )  # fmt: skip
    given, labels = np.array([0, -1, -1, -1]), np.array([0, 1, 0, -1])
    soft = raters.copy()
    soft[3] = np.nan
    labeled = annotation_cells.Labeled(source, given, labels, soft, 0.5, 0, 0)
    monkeypatch.setattr(soft_cells, "label", lambda *_: labeled)
    exact = soft_cells.soft_labels(soft_cells.SoftSettings(**DIGITS), 0)
    assert (exact["jensen_shannon"], exact["brier"]) == (0, 0)
    assert (exact["accuracy"], exact["coverage"]) == (1, pytest.approx(2 / 3))
    assert exact["calibration_error"] == pytest.approx(0.25)
    hard = soft_cells.soft_labels(soft_cells.SoftSettings(**DIGITS, hard=True), 0)
    assert hard["brier"] == pytest.approx(2 * 0.25**2)
    assert hard["calibration_error"] == 0


def test_images_without_raters_have_no_soft_labels_to_compare():
    with pytest.raises(DataError, match="'digits' has no raters"):
        soft_cells.soft_labels(soft_cells.SoftSettings(**DIGITS), 0)


def test_the_queue_needs_at_most_as_many_labels_as_chance():
    numbers = labels_needed(QuerySettings(**DIGITS), 0)
    assert numbers["random_labels"] == 139 or numbers["random_labels"] == 140
    assert numbers["labels"] <= numbers["random_labels"]
    assert numbers["net_yield"] >= numbers["target"]


def test_a_budget_is_asked_for_to_the_last_label():
    numbers = labels_by_budget(QuerySettings(**DIGITS, labeled=0.03, batch=15), 0)
    drawn = label(LabelSettings(**DIGITS, labeled=0.03), 0)
    assert numbers["labels"] == (drawn.given >= 0).sum()
    assert numbers["net_yield"] > numbers["random_net_yield"]

"""Pictures of an annotation show what they say, by color and by mark."""

import io

import numpy as np
import pytest
from PIL import Image

from emboscope.report import annotation_figures as draw
from emboscope.report.figures import UNLABELED

N = 60
CLASSES = ["artifact", "gaseous", "solid"]
HALF = np.arange(N) % 2 == 0


@pytest.fixture
def points(rng):
    return rng.standard_normal((N, 2)) + 8 * np.repeat([[0, 0], [1, 0], [0, 1]], N // 3, axis=0)


@pytest.fixture
def labels():
    return np.repeat([0, 1, 2], N // 3)


def n_pixels(picture, color):
    """Pixels of that color in the picture."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(pixels - wanted).sum(axis=2) < 12).sum())


def test_labels_by_hand_have_an_outline_and_what_has_none_is_grey(points, labels):
    nothing = np.zeros(N, bool)
    spread = draw.label_map_figure(points, labels, nothing, CLASSES)
    by_hand = draw.label_map_figure(points, labels, ~nothing, CLASSES)
    none = draw.label_map_figure(points, np.full(N, -1), nothing, CLASSES)
    for color in draw.CLASS_COLORS[:3]:
        assert n_pixels(spread, color) > n_pixels(none, color)
        assert n_pixels(by_hand, color) > n_pixels(none, color)
    assert n_pixels(by_hand, "#000000") > n_pixels(spread, "#000000") + 5 * N
    assert n_pixels(none, UNLABELED) > n_pixels(spread, UNLABELED) + 5 * N


def test_ten_classes_and_more_differ_in_color_or_mark():
    seen = {(draw._color(index), draw._mark(index)) for index in range(90)}
    assert len(seen) == 90
    assert len({draw._color(index) for index in range(10)}) == 10


def test_marks_alone_tell_classes_apart(points, labels, monkeypatch):
    monkeypatch.setattr(draw, "CLASS_COLORS", ("#000000",))
    nothing = np.zeros(N, bool)
    first = draw.label_map_figure(points, labels, nothing, CLASSES)
    assert draw.label_map_figure(points, labels[::-1], nothing, CLASSES) != first


def test_propagation_fills_the_map(points, labels):
    given = np.where(np.arange(N) % 20 == 0, labels, -1)
    unchanged = draw.propagation_figure(points, given, given, CLASSES)
    filled = draw.propagation_figure(points, given, labels, CLASSES)
    assert n_pixels(filled, UNLABELED) < n_pixels(unchanged, UNLABELED)


def test_samples_of_low_quality_are_crosses(points):
    quality = np.where(HALF, 0.0, 1.0)
    with_crosses = draw.quality_map_figure(points, quality, 0.1)
    without = draw.quality_map_figure(points, np.ones(N), 0.1)
    assert n_pixels(with_crosses, draw.CHOSEN) > n_pixels(without, draw.CHOSEN) + 5 * N // 2


def test_patients_are_told_apart_also_when_there_are_many(points):
    few = draw.patient_map_figure(points, np.where(HALF, "p1", "p2"))
    assert n_pixels(few, draw.CLASS_COLORS[1]) > 0
    assert n_pixels(few, draw.CLASS_COLORS[2]) == 0
    many = draw.patient_map_figure(points, np.arange(N) // 2)
    assert n_pixels(many, draw.CLASS_COLORS[2]) > 0


def test_curves_and_marked_points_are_drawn():
    coverage = np.linspace(0.1, 1, 10)
    curves = {"lq_knn": (coverage, coverage / 20), "spreading": (coverage, coverage / 40)}
    plain = draw.risk_coverage_figure(curves)
    assert n_pixels(plain, draw.CLASS_COLORS[4]) > 100
    assert n_pixels(plain, draw.CLASS_COLORS[5]) > 100
    marked = draw.risk_coverage_figure(curves, {"threshold 0.1": (0.9, 0.02)})
    assert n_pixels(marked, draw.CLASS_COLORS[4]) > n_pixels(plain, draw.CLASS_COLORS[4])


def test_only_the_chosen_map_is_framed(points, labels):
    scores = np.array([0.1, 0.5])
    two = [points, points[::-1]]
    first = draw.map_grid_figure(two, scores, 0, labels, ["a", "b"])
    second = draw.map_grid_figure(two, scores, 1, labels, ["a", "b"])
    assert first != second
    assert n_pixels(first, draw.CHOSEN) > 1000


def test_of_many_maps_the_best_the_worst_and_the_chosen_are_shown():
    scores = np.random.default_rng(0).permutation(400) / 400
    for chosen in (int(scores.argmax()), 7):
        shown = draw._spread_over_scores(scores, chosen)
        assert len(shown) == draw.MOST_MAPS
        assert {chosen, int(scores.argmin())} <= set(shown)
        assert shown == sorted(shown)
    assert draw._spread_over_scores(scores[:5], 2) == [0, 1, 2, 3, 4]


def test_a_map_on_a_line_or_without_labels_is_drawn(labels):
    line = np.column_stack([np.arange(N), np.zeros(N)])
    nothing = np.full(N, -1)
    assert draw.label_map_figure(line, nothing, nothing >= 0, CLASSES)
    assert draw.label_map_figure(line[:, ::-1], labels, nothing >= 0, CLASSES)
    assert draw.map_grid_figure([line], np.array([np.nan]), 0, nothing)

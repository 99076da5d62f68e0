"""Pictures of distributions over three classes."""

import io

import numpy as np
from numpy.testing import assert_allclose
from PIL import Image

import emboscope.report.simplex_figure as simplex_figure_module
from emboscope.report.simplex_figure import Cloud, places_of, simplex_figure, simplex_points

CLASSES = ("artifact", "gaseous", "solid")


def test_a_sure_row_is_at_its_corner_and_an_even_one_in_the_middle():
    corners = simplex_points(np.eye(3))
    sides = [np.linalg.norm(corners[index] - corners[index - 1]) for index in range(3)]
    assert_allclose(sides, 1.0)
    assert_allclose(simplex_points(np.full((1, 3), 1 / 3))[0], corners.mean(axis=0))
    between = simplex_points(np.array([[0.0, 0.75, 0.25]]))[0]
    assert_allclose(between, 0.75 * corners[1] + 0.25 * corners[2])


def test_rows_of_one_place_are_counted_by_class_and_the_fullest_comes_first():
    shares = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1.0, 0], [0, 0.99999, 0.00001]])
    places = places_of(shares, np.array([0, 1, 2, 1, 0]))
    assert [counts.tolist() for _, counts in places] == [[1, 2, 1], [1, 0, 0]]
    assert_allclose(places[0][0], [1.0, 0.0], atol=1e-9)


def pixels(content, color):
    """How many pixels have that color, as red, green and blue."""
    image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    return int((np.abs(image - color).sum(axis=2) < 12).sum())


BLUE, ORANGE, PINK = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00), (0xCC, 0x79, 0xA7)


def drawn(y, shares=None):
    shares = np.tile([1.0, 0.0, 0.0], (len(y), 1)) if shares is None else shares
    return simplex_figure([Cloud("labels", shares, np.array(y))], CLASSES)


def test_the_area_of_a_ring_is_the_number_of_its_class():
    half, tenth = drawn([0] * 50 + [1] * 50), drawn([0] * 90 + [1] * 10)
    legend = pixels(drawn([2]), ORANGE)
    seen = [pixels(content, ORANGE) - legend for content in (half, tenth)]
    assert 3.5 < seen[0] / seen[1] < 6.5
    assert pixels(tenth, BLUE) > pixels(half, BLUE) > legend


def test_a_rare_class_is_seen_and_a_row_without_shares_is_not():
    shares = np.array([[1.0, 0, 0]] * 400 + [[0, 0, 1.0]])
    rare = drawn([0] * 400 + [2], shares)
    shares[-1] = np.nan
    assert pixels(rare, PINK) > pixels(drawn([0] * 400 + [2], shares), PINK)


def test_a_row_without_shares_is_not_counted(monkeypatch):
    figures = []
    monkeypatch.setattr(simplex_figure_module, "png", lambda figure: figures.append(figure) or b"")
    shares = np.array([[1.0, 0, 0], [np.nan] * 3, [0, 1.0, 0]])
    simplex_figure([Cloud("labels", shares, np.array([0, 1, 1]))], CLASSES)
    (axes,) = figures[0].axes
    assert axes.get_title(loc="left") == "labels (n = 2)"
    assert len(axes.collections[0].get_offsets()) == 2


def test_clouds_stand_side_by_side_and_an_empty_one_is_a_triangle():
    one = Image.open(io.BytesIO(drawn([0])))
    empty = Cloud("none", np.zeros((0, 3)), np.zeros(0, int))
    two = Image.open(io.BytesIO(simplex_figure([empty, empty], CLASSES)))
    assert two.width == 2 * one.width
    assert two.height == one.height

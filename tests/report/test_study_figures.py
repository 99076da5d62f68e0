"""Pictures of studies."""

import io
import itertools
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

import emboscope.report.study_figures as study_figures
from emboscope.report.study_figures import Frame, Spot, mark_area, spots_figure

FRAME = Frame("sizes", "kB", "MCC, %", "bytes", log_x=True)


def spot(label, x, y, area=None):
    return Spot(label, "table", x, y, (math.nan, math.nan), area)


def test_areas_are_in_proportion_down_to_what_can_be_seen():
    assert mark_area(8.0, 8.0) == 4 * mark_area(2.0, 8.0)
    assert mark_area(1e-6, 8.0) == mark_area(1e-9, 8.0) > 0
    assert mark_area(None, 0.0) > 0


def colored(content):
    """Pixels of the first table's color."""
    image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    return int((image[..., 2] - image[..., 0] > 60).sum())


@pytest.mark.parametrize("frame", [FRAME, Frame("plain", "x", "y")])
def test_a_larger_area_is_a_larger_mark(frame):
    small, large = spot("a", 1.0, 90.0, 1.0), spot("b", 10.0, 95.0, 4.0)
    alike = spot("a", 1.0, 90.0, 4.0)
    assert colored(spots_figure([alike, large], frame)) > colored(
        spots_figure([small, large], frame)
    )


def test_the_interval_is_drawn():
    plain = spot("a", 1.0, 90.0)
    sure = Spot("a", "table", 1.0, 90.0, (80.0, 97.0))
    assert colored(spots_figure([sure], FRAME)) > colored(spots_figure([plain], FRAME))


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((-100.0, 280.0), (85.0, 105.0)), ((94.0, 96.0), None), ((88.0, 280.0), (None, 105.0))],
)
def test_a_wide_interval_runs_out_of_the_picture(interval, expected, monkeypatch):
    drawn = []
    monkeypatch.setattr(study_figures, "png", lambda figure: drawn.append(figure) or b"")
    spots_figure([spot("a", 1.0, 90.0), Spot("b", "table", 2.0, 100.0, interval)], FRAME)
    spots_figure([spot("a", 1.0, 90.0), spot("b", 2.0, 100.0)], FRAME)
    with_interval, plain = (figure.axes[0].get_ylim() for figure in drawn)
    wanted = expected or plain
    for found, limit in zip(with_interval, wanted, strict=True):
        assert limit is None or found == pytest.approx(limit)
    assert plain == pytest.approx((88.8, 101.2))


def test_names_of_spots_at_one_place_cover_neither_each_other_nor_marks(monkeypatch):
    drawn = []
    monkeypatch.setattr(study_figures, "png", lambda figure: drawn.append(figure) or b"")
    spots = [spot(f"network number {n}", 10.0, 90 + 0.1 * n) for n in range(12)]
    spots += [spot("its neighbor is near", 2.0, 85.0), spot("near", 2.3, 85.0)]
    spots_figure([*spots, spot("far", 1.0, 80.0)], FRAME)
    axes = drawn[0].axes[0]
    canvas = FigureCanvasAgg(drawn[0])
    canvas.draw()
    names = [text for text in axes.texts if text.get_text()]
    assert {text.get_text() for text in names} == {*(each.label for each in spots), "far"}
    boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in names]
    assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))
    marks = axes.transData.transform([(each.x, each.y) for each in spots])
    assert not any(box.contains(*mark) for box in boxes for mark in marks)

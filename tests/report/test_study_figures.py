"""Pictures of studies."""

import io
import math

import numpy as np
import pytest
from PIL import Image

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

"""Pictures of a session change with what they show, and are in the language of the report."""

import io

import numpy as np
import pytest
from PIL import Image

from emboscope.evaluation.poisson import rate_over_time
from emboscope.events.event import Event
from emboscope.report import session_figures as draw
from emboscope.report.figures import new_figure, png, small_png
from emboscope.report.session import DetectorNote, Monitoring, Subject, Velocities
from emboscope.report.showers import Shower
from emboscope.report.wording import Wording

WORDS = Wording("en")
EVENT = Event(99.99, 0.03, 100.0, 12.0, 18.0, 600.0, 23.1, False, False, "embolus")


def session(events=(), unusable=()):
    return Monitoring("p01", Subject(), {}, 600.0, 0.16, unusable, "towards", Velocities(),
                      tuple(events), DetectorNote("hbr_recursive", 5.0))  # fmt: skip


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)


def has_color(picture, color):
    wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.abs(pixels(picture) - wanted).sum(axis=2) < 12).any())


def test_timeline_shows_events_gaps_and_showers():
    empty = draw.timeline_figure(session(), (), WORDS)
    assert not has_color(empty, draw.CLASS_COLORS["embolus"])
    full = draw.timeline_figure(session([EVENT]), (), WORDS)
    assert has_color(full, draw.CLASS_COLORS["embolus"])
    assert draw.timeline_figure(session((), ((10.0, 90.0, "dropout"),)), (), WORDS) != empty
    assert draw.timeline_figure(session(), (Shower(100, 105, 9),), WORDS) != empty


def test_rate_is_drawn_where_time_is_evaluable_only():
    bins = rate_over_time([100.0], [(0, 300)], 60)
    assert has_color(draw.rate_figure(bins, 600, WORDS), draw.CLASS_COLORS["embolus"])
    draw.rate_figure(rate_over_time([], [(500, 600)], 60), 600, WORDS)  # gaps raise no warning


def test_distributions_are_drawn_in_the_language():
    english, french = (
        draw.distributions_figure([EVENT], Wording(language)) for language in ("en", "fr")
    )
    assert english != french
    assert has_color(english, draw.CLASS_COLORS["embolus"])


def test_event_longer_than_the_axis_is_in_the_last_bar():
    assert has_color(
        draw.distributions_figure(
            [Event(0, 2.0, 1, 70, 0, 1, None, True, False, "too_long")], WORDS
        ),
        "#000000",
    )


@pytest.mark.parametrize("unit", ["cm/s", "Hz"])
def test_event_figure_boxes_the_event(rng, unit):
    level, times = rng.uniform(-10, 0, (64, 100)), np.linspace(-0.5, 0.5, 100)
    rows = np.linspace(-80, 80, 64)
    here = draw.event_figure(level, times, rows, unit, (-0.02, 0.02, 20, 30), WORDS)
    there = draw.event_figure(level, times, rows, unit, (0.2, 0.3, 20, 30), WORDS)
    assert (pixels(here) != pixels(there)).any()
    assert len(here) < 60_000  # forty of them stay far under 15 MB


def test_palette_of_an_event_keeps_the_colors_of_the_scale(rng):
    """The signal is quiet, so the loud half of the scale is in the color bar alone."""
    level, times = rng.uniform(-10, 0, (64, 100)), np.linspace(-0.5, 0.5, 100)
    box = (-0.02, 0.02, 20, 30)
    picture = draw.event_figure(level, times, np.linspace(-80, 80, 64), "cm/s", box, WORDS)
    bar = pixels(picture)[15:200, round(0.855 * 396)]
    assert len(np.unique(bar, axis=0)) > 30  # of forty


def test_small_picture_keeps_rare_colors(rng):
    figure = new_figure(2, 2, constrained=False)
    gray = np.repeat(rng.integers(0, 60, (220, 220, 1)), 3, axis=2).astype(np.uint8)
    gray[100:104, 100:104] = (255, 0, 0)
    figure.figimage(gray)
    assert has_color(small_png(figure), "#FF0000")
    assert len(small_png(figure)) < len(png(figure))

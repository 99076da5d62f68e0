"""Figures are pictures, and the report needs nothing but itself."""

import re
import struct

import numpy as np
import pytest

from emboscope.errors import DataError
from emboscope.evaluation.statistics import corrected_t
from emboscope.events.event import Event
from emboscope.report import figures
from emboscope.report.html import Figure, Report, Section, Table, render

EVENT = Event(1.0, 0.05, 1.02, 12.0, 20.0, 600.0, 25.0, False, False, "embolus")


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


def report(*sections):
    return Report("Title", "Summary", "Research use only.", sections, (("version", "0.1"),))


def test_spectrogram_is_a_picture_with_or_without_events(rng):
    level = rng.standard_normal((64, 100))
    times, freqs = np.linspace(0, 3, 100), np.linspace(-80, 80, 64)
    with_event = figures.spectrogram_figure(level, times, freqs, "cm/s", [EVENT], "p01")
    without = figures.spectrogram_figure(level, times, freqs, "cm/s", [], "p01")
    assert size(with_event)[0] > 600
    assert with_event != without


def test_map_shows_what_is_labelled(rng):
    points, labels = rng.standard_normal((50, 2)), rng.integers(-1, 3, 50)
    asked = labels == 0
    classes = ("artifact", "gaseous", "solid")
    picture = figures.map_figure(points, labels, classes, rng.random(50), asked)
    assert size(picture)[0] > 900
    other = figures.map_figure(points, -np.ones(50, int), classes, np.zeros(50), asked)
    assert picture != other


def test_confusion_scores_and_sizes_are_pictures():
    matrix = np.array([[8, 1, 0], [2, 5, 1], [0, 1, 9]])
    assert size(figures.confusion_figure({"a": matrix, "b": matrix.T}, "abc"))
    estimate = corrected_t(np.array([0.8, 0.9, 0.85]), 0.1)
    assert size(figures.scores_figure({"model": {"mcc": estimate}, "other": {"mcc": estimate}}))
    assert size(figures.size_figure({"before": 80_000, "after": 9_000}))


def test_report_fetches_nothing():
    figure = Figure(figures.size_figure({"before": 8000}), "a size")
    text = render(report(Section("One", "words", (Table(("a", "b"), (("1", "2"),)),), (figure,))))
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:|#)", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "data:image/png;base64," in text
    assert "Research use only." in text


def test_text_in_a_report_is_not_taken_for_html():
    assert "<script>" not in render(report(Section("<script>alert(1)</script>")))


def test_report_over_15_megabytes_is_refused():
    with pytest.raises(DataError, match="expected under 15 MB. Show fewer recordings"):
        render(report(Section("big", figures=(Figure(bytes(12_000_000), "x"),))))

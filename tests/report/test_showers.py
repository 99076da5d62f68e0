"""Showers are five emboli in ten seconds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emboscope.report.showers import Shower, ShowerSettings
from emboscope.report.showers import showers as showers_in

SETTINGS = ShowerSettings()


def showers(peaks):
    return showers_in(peaks, SETTINGS.window_s, SETTINGS.minimum)


def test_five_in_ten_seconds_are_a_shower_and_four_are_not():
    assert showers([0, 2.5, 5, 7.5, 10]) == (Shower(0, 10, 5),)
    assert showers([0, 2.5, 5, 10]) == ()
    assert showers([0, 2.5, 5, 7.5, 10.1]) == ()


def test_windows_that_share_an_embolus_are_one_shower():
    steady = np.arange(0, 40, 2.0)  # six in each ten seconds
    assert showers(steady) == (Shower(0, 38, 20),)


def test_showers_apart_stay_apart():
    assert showers([1, 2, 3, 4, 5, 101, 102, 103, 104, 105]) == (
        Shower(1, 5, 5), Shower(101, 105, 5),
    )  # fmt: skip


def test_fifty_bubbles_in_five_seconds_are_one_shower_of_fifty(rng):
    (shower,) = showers(600 + rng.uniform(0, 5, 50))
    assert shower.n == 50


@given(st.lists(st.floats(0, 200), max_size=60))
def test_an_embolus_is_in_a_shower_if_and_only_if_a_window_with_it_holds_five(peaks):
    inside = [any(each.start_s <= peak <= each.stop_s for each in showers(peaks)) for peak in peaks]
    ordered = np.array(sorted(peaks))

    def crowded(peak):
        starts = ordered[(ordered <= peak) & (peak - ordered <= 10)]
        return any(((ordered >= at) & (ordered - at <= 10)).sum() >= 5 for at in starts)

    assert inside == [crowded(peak) for peak in peaks]


def test_window_and_minimum_are_settings():
    assert showers_in([0, 1, 2], window_s=2, minimum=3) == (Shower(0, 2, 3),)
    assert showers_in([0, 1, 2], window_s=1.9, minimum=3) == ()

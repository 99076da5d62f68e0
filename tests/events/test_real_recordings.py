"""The default detector on real recordings: taps, and emboli put between them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from emboscope.events.block import Acquisition
from emboscope.events.detection import DETECTORS, detect
from real_taps import CARRIER, SFREQ, real_recordings, with_embolus


@pytest.fixture(scope="module")
def recordings():
    """The real recordings with the times of their probe taps."""
    found = real_recordings()
    if found is None:
        pytest.skip("EMBOSCOPE_DATA has no tcd_dwl_hits.npz")
    return found


def scan(samples, detector="hbr_recursive"):
    return detect(
        lambda a, b: samples[a:b], samples.size, Acquisition(SFREQ, CARRIER), detector=detector
    )


def test_real_probe_taps_are_found_and_judged_artifacts(recordings):
    for samples, times in recordings:
        detection = scan(samples)
        assert detection.flow_side == "away"
        assert [event.verdict for event in detection.events] == ["artifact"] * len(times)
        assert_allclose([event.peak_s for event in detection.events], times, atol=0.03)


@pytest.mark.parametrize("detector", sorted(set(DETECTORS) - {"two_gate"}))
def test_no_detector_reports_a_real_tap_as_an_embolus(recordings, detector):
    for samples, times in recordings:
        found = [e.peak_s for e in scan(samples, detector).events if e.verdict == "embolus"]
        assert all(np.abs(np.array(times) - peak_s).min() > 0.05 for peak_s in found)


@pytest.mark.parametrize("seed", range(3))
def test_emboli_put_into_real_flow_are_found_with_their_ratio(recordings, seed):
    """7 to 20 dB at 40 random places: 85 % found, median error of the HBR at most 1.5 dB."""
    rng = np.random.default_rng(seed)
    errors = []
    for n in range(40):
        samples, taps_s = recordings[n % len(recordings)]
        ebr_db = rng.uniform(7, 20)
        blended, peak_s = with_embolus(samples, taps_s, ebr_db, rng)
        near = [
            event.hbr_db
            for event in scan(blended).events
            if event.verdict == "embolus" and abs(event.peak_s - peak_s) < 0.05
        ]
        errors += [abs(near[0] - 10 * np.log10(1 + 10 ** (ebr_db / 10)))] if near else []
    assert len(errors) >= 34
    assert np.median(errors) <= 1.5

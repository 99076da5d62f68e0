"""The events that are shown, how they are cut, and what is marked on them."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from emboscope.errors import SettingsError
from emboscope.events.event import Event
from emboscope.report.wording import Wording
from emboscope.signal.spectrum import decibel, stft
from emboscope.workflows import gallery
from emboscope.workflows.gallery import GallerySettings, Signal, box_rows, choose, cut, shifted_axis

SFREQ = 4385.0
EVENT = Event(2.99, 0.02, 3.0, 12.0, 18.0, 600.0, 23.1, False, False, "embolus")
SETTINGS = GallerySettings()


def event(verdict, hbr_db):
    return replace(EVENT, verdict=verdict, hbr_db=hbr_db)


@pytest.fixture
def signal(rng):
    """Six seconds of noise with a tone burst of +600 Hz at 3 s."""
    n = round(6 * SFREQ)
    times = np.arange(n) / SFREQ
    noise = 0.01 * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
    burst = 0.3 * np.exp(2j * np.pi * 600 * times) * np.exp(-(((times - 3) / 0.01) ** 2))
    samples = (noise + burst).astype(np.complex64)
    return Signal(lambda start, stop: samples[start:stop], n, SFREQ, 2e6)


def test_emboli_come_first_then_doubtful_and_the_strongest_of_each():
    events = [event("artifact", 30), event("doubtful", 9), event("embolus", 6), event("embolus", 8),
              event("too_long", 40)]  # fmt: skip
    assert [number for number, _ in choose(events, 40)] == [4, 3, 2, 1, 5]
    assert [number for number, _ in choose(events, 2)] == [4, 3]


def test_more_than_forty_are_refused():
    with pytest.raises(SettingsError, match="gallery.most: 41"):
        GallerySettings.parse({"most": 41}, "gallery")


@pytest.mark.parametrize(("peak_s", "start_s"), [(3.0, 2.5), (0.1, 0.0), (5.95, 5.0)])
def test_a_second_is_cut_around_the_peak_and_inside_the_recording(signal, peak_s, start_s):
    samples, start = cut(replace(EVENT, peak_s=peak_s), signal, SETTINGS)
    assert samples.size == SFREQ
    assert_allclose(start, start_s, atol=1 / SFREQ)


def test_recording_under_a_second_is_shown_whole(signal):
    short = replace(signal, n_times=3000)
    assert cut(replace(EVENT, peak_s=0.3), short, SETTINGS)[0].size == 3000


def test_cut_is_the_high_passed_recording(signal):
    """The warm-up lets the filter forget its start: to 1e-3 of the burst."""
    samples, start = cut(EVENT, signal, SETTINGS)
    first = round(start * SFREQ)
    whole = gallery.HighPass(SFREQ, 150.0)(signal.read(0, signal.n_times))
    assert_allclose(samples, whole[first : first + samples.size], atol=3e-4)


@given(st.floats(-4000, 4000))
def test_event_lies_on_the_shifted_axis(frequency_hz):
    freqs = np.fft.fftshift(np.fft.fftfreq(256, 1 / SFREQ))
    moved, order = shifted_axis(freqs, SFREQ, frequency_hz)
    assert (np.diff(moved) > 0).all()
    assert moved[0] <= frequency_hz <= moved[-1]
    turns = (moved - freqs[order]) / SFREQ
    assert_allclose(turns, np.round(turns), atol=1e-9)


def test_axis_of_slow_flow_stays():
    freqs = np.fft.fftshift(np.fft.fftfreq(256, 1 / SFREQ))
    assert_allclose(shifted_axis(freqs, SFREQ, -900.0)[0], freqs)


def test_box_holds_the_rows_within_ten_decibels():
    freqs = np.arange(-5, 6) * 100.0
    profile = np.ones(11)
    profile[6:10] = 8, 30, 100, 20  # 100 to 400 Hz; 8 is 11 dB under 100
    assert box_rows(profile, freqs, 310.0, 10.0) == (100.0, 500.0)


def test_flow_power_is_that_of_the_flow_and_not_of_the_event(signal, rng):
    """Flow at 10 dB over the noise in a fifth of the rows; the burst is far over both."""
    samples, start = cut(EVENT, signal, SETTINGS)
    n = samples.size
    spectrum = stft(samples, SFREQ, 128, 16, 256)
    band = (spectrum.freqs > 300) & (spectrum.freqs < 750)
    noise = np.median(spectrum.power[spectrum.freqs < -300])
    values = spectrum.values.copy()
    values[band] *= 10**0.5
    flow = replace(spectrum, values=values)
    measured = gallery.flow_power(flow, flow.times + start, EVENT, 150.0)
    assert_allclose(decibel(np.asarray(measured)) - decibel(noise), 10, atol=1.5)
    assert n == SFREQ


def test_picture_and_sound_of_an_event(signal):
    (picture,) = gallery.pictures([EVENT], signal, Wording("en"), SETTINGS)
    assert picture.number == 1
    assert picture.png.startswith(b"\x89PNG")
    sound, rate = soundfile.read(io.BytesIO(picture.wav_bytes))
    assert rate == 11025
    assert sound.shape == (11025, 2)
    towards, away = (sound**2).sum(axis=0)
    assert towards > 10 * away  # left and right
    assert soundfile.info(io.BytesIO(picture.wav_bytes)).subtype == "PCM_16"


@pytest.mark.parametrize("changes", [{"frequency_hz": -2800.0, "aliased": True}, {"peak_s": 5.99}])
def test_every_event_can_be_drawn(signal, changes):
    hz = replace(signal, carrier_hz=None)
    assert gallery.pictures([replace(EVENT, **changes)], hz, Wording("fr"), SETTINGS)


def test_silence_can_be_drawn(signal):
    silent = replace(signal, read=lambda start, stop: np.zeros(stop - start, np.complex64))
    assert gallery.pictures([EVENT], silent, Wording("es"), SETTINGS)

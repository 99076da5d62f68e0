"""What every entry of the registry promises, checked on all of them and on their options."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError
from emboscope.representations import (
    HITS224,
    REPRESENTATIONS,
    BitPulseSettings,
    FrontEnd,
    GafSettings,
    MtfSettings,
    RpSettings,
    SpectrogramSettings,
    WaveformSettings,
    WaveletSettings,
)

SFREQ = 4385.0
N_TIMES = 1400
OPTIONS = [
    HITS224,
    HITS224.model_copy(update={"normalization": "none", "reference": "image"}),
    SpectrogramSettings(reference="background", n_fft=64, hop=28, window="hann"),
    SpectrogramSettings(profile="released"),
    SpectrogramSettings(profile="paper"),
    WaveformSettings(scaling="min_max"),
    WaveformSettings(scaling="background"),
    BitPulseSettings(n_bits=8),
    WaveletSettings(method="dtcwt"),
    GafSettings(method="difference", series="forward_reverse"),
    MtfSettings(series="forward_reverse"),
    RpSettings(series="forward_reverse"),
]
SETTINGS = [entry.settings() for entry in REPRESENTATIONS.values()] + OPTIONS
IDS = [f"{each.kind}-{number}" for number, each in enumerate(SETTINGS)]
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=IDS)


def view(signal, settings):
    return REPRESENTATIONS[settings.kind](signal, settings, SFREQ)


@pytest.fixture
def segments(rng):
    """Noise in which a tone of forward flow swells up, as of an embolus."""
    times = np.arange(N_TIMES) / SFREQ
    tone = np.exp(2j * np.pi * 700 * times - (((times - 0.16) / 0.01) ** 2))
    line = tone + 0.05 * (rng.standard_normal((3, N_TIMES)) + 1j * rng.standard_normal(N_TIMES))
    return np.stack([line.real, line.imag], axis=1)


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_every_entry_has_a_row_on_its_page(kind):
    page = Path(__file__).parents[2] / "docs" / "representations.md"
    assert f"| `{kind}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", REPRESENTATIONS)
def test_front_end_makes_every_entry_with_its_default_settings(kind, segments):
    chain = FrontEnd(sfreq=SFREQ, n_channels=2, n_times=N_TIMES, views={"made": {"kind": kind}})
    assert chain.compute(segments)["made"].shape == (3, *chain.shapes["made"])


@every_setting
@pytest.mark.parametrize("n_channels", [1, 2])
def test_shape_is_as_told_and_numbers_are_single(settings, n_channels, segments):
    made = view(segments[:, :n_channels], settings)
    assert made.shape == (3, *settings.shape(n_channels, N_TIMES))
    assert made.dtype == np.float32


@every_setting
@pytest.mark.parametrize("level", [0.0, 0.3, -1.0])
def test_silence_and_a_constant_give_finite_numbers(settings, level):
    assert np.isfinite(view(np.full((2, 2, N_TIMES), level), settings)).all()


@every_setting
def test_gain_does_as_told(settings, segments):
    one, two = (view(gain * segments, settings) for gain in (1.0, 2.0))
    if settings.gain == "other":
        assert not np.allclose(two, one)
        return
    expected = {
        "scales": 2 * one,
        "decibels": one + 20 * np.log10(2),
        "doubled_decibels": one + 40 * np.log10(2),
        "invariant": one,
    }[settings.gain]
    assert_allclose(two, expected, rtol=1e-5, atol=1e-4)  # of single precision, in dB


def test_scaled_signal_gives_a_spectrogram_without_gain(segments):
    settings = SpectrogramSettings(scaling="min_max")
    assert settings.gain == "invariant"
    real = segments[:, :1]
    assert_allclose(view(2 * real, settings), view(real, settings), atol=1e-4)


@every_setting
def test_reversed_flow_changes_the_view_as_told(settings, segments):
    forward, reverse = view(segments, settings), view(segments * [[1], [-1]], settings)
    half = forward.shape[1] // 2
    if settings.direction == "channels":
        expected = np.concatenate([forward[:, half:], forward[:, :half]], axis=1)
        assert np.abs(forward[:, :half] - forward[:, half:]).max() > 0.1
    elif settings.direction == "rows":  # the row of the Nyquist frequency, at one end, stays
        body = slice(None, -1) if settings.kind == "adms_image" else slice(1, None)
        expected = forward.copy()
        expected[:, :, body] = forward[:, :, body][:, :, ::-1]
        assert np.abs(forward - expected).max() > 0.1
    elif settings.direction == "quadrature":
        expected = np.concatenate([forward[:, :half], reverse[:, half:]], axis=1)
        assert np.abs(forward[:, half:] - reverse[:, half:]).max() > 0.1
    else:
        expected = forward
    assert_allclose(reverse, expected, rtol=1e-4, atol=2e-3)  # dB of single precision, near 0


@every_setting
def test_all_at_once_equals_one_by_one_in_any_order(settings, segments, rng):
    together = view(segments, settings)
    alone = np.concatenate([view(segment[None], settings) for segment in segments])
    assert_allclose(together, alone, atol=1e-4)
    order = rng.permutation(3)
    assert_array_equal(view(segments[order], settings), together[order])


@every_setting
def test_no_segments_give_no_views(settings):
    made = view(np.zeros((0, 2, N_TIMES)), settings)
    assert made.shape == (0, *settings.shape(2, N_TIMES))


def test_more_segments_than_a_block_holds_are_all_transformed(rng):
    segments = rng.standard_normal((131, 1, 64))
    assert_allclose(view(segments, WaveformSettings()), segments, rtol=1e-6)


@pytest.mark.parametrize(
    "kind", sorted(set(REPRESENTATIONS) - {"waveform", "bit_pulse", "adms_image"})
)
def test_segment_shorter_than_one_window_is_refused(kind):
    with pytest.raises(DataError, match=r"signal: 9 samples; expected at least"):
        view(np.zeros((1, 2, 9)), REPRESENTATIONS[kind].settings())

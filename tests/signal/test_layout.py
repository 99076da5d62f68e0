"""I/Q and forward/reverse audio: from one to the other, and which of them a file holds."""

import json

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.signal.audio import forward_reverse_audio, stereo_clip, write_clip
from emboscope.signal.layout import complex_from_directions, hilbert_filter, recognize_layout
from emboscope.signal.readers import open_source, read_recording, write_wav

SFREQ = 4385.0
INNER = slice(500, -500)  # where no end of the signal is under the filter


def tone(frequency_hz, n=8770, sfreq=SFREQ):
    return 0.5 * np.exp(2j * np.pi * frequency_hz * np.arange(n) / sfreq)


def flow(rng, side=1, n=60000):
    """Noise in a band of one side, and weaker noise on both."""
    spectrum = np.fft.fft(rng.standard_normal(n) + 1j * rng.standard_normal(n))
    freqs = np.fft.fftfreq(n, 1 / SFREQ)
    spectrum *= ((side * freqs > 200) & (side * freqs < 1500)) + 0.05
    return 0.1 * np.fft.ifft(spectrum)


@pytest.fixture
def directional(tmp_path, rng):
    """A WAV of forward and reverse audio, and the I/Q signal it stands for."""
    samples = flow(rng)
    path = tmp_path / "a.wav"
    soundfile.write(path, forward_reverse_audio(samples, SFREQ).T, 4385, "FLOAT")
    return path, samples


@pytest.mark.parametrize("sfreq", [3000.0, 4385.0, 10000.0])
@pytest.mark.parametrize("edge", [150.0, 600.0, "half the rate less 150"])
def test_directions_are_isolated_by_40_db(sfreq, edge):
    frequency = edge if isinstance(edge, float) else sfreq / 2 - 150
    towards, away = forward_reverse_audio(tone(frequency, 4 * int(sfreq), sfreq), sfreq)
    isolation = 10 * np.log10(np.mean(towards[INNER] ** 2) / np.mean(away[INNER] ** 2))
    assert isolation > 40
    flipped = forward_reverse_audio(tone(-frequency, 4 * int(sfreq), sfreq), sfreq)
    assert_allclose(flipped, [away, towards], atol=1e-6)


def test_hilbert_filter_is_odd_in_length_and_in_shape():
    taps = hilbert_filter(SFREQ)
    assert taps.size % 2 == 1
    assert taps.size >= 129
    assert_allclose(taps, -taps[::-1])


def test_audio_and_back_is_the_signal():
    samples = tone(700) + 0.3 * tone(-1100)
    audio = forward_reverse_audio(samples, SFREQ)
    back = complex_from_directions(audio[0] + 1j * audio[1], SFREQ)
    assert_allclose(back[INNER], samples[INNER], atol=2e-3)  # ripple of the filter, -54 dB


def test_audio_is_not_delayed():
    samples = tone(700)
    towards, _ = forward_reverse_audio(samples, SFREQ)
    assert_allclose(towards[INNER], samples.real[INNER], atol=2e-3)


def test_directional_file_is_recognized_and_gives_the_complex_signal(directional):
    path, samples = directional
    source = open_source(path)
    assert source.layout == "forward_reverse"
    error = source.read(0, samples.size)[0] - samples
    assert np.mean(np.abs(error) ** 2) < 0.02 * np.mean(np.abs(samples) ** 2)  # the weak noise at 0


def test_no_block_size_changes_a_sample(directional):
    source = open_source(directional[0])
    whole = source.read(0, source.n_times)
    for size in (1000, 4385, 59999):
        starts = range(0, source.n_times, size)
        parts = [source.read(start, min(start + size, source.n_times)) for start in starts]
        assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)


@pytest.mark.parametrize("side", [1, -1])
def test_one_sided_flow_in_quadrature_is_iq(rng, side):
    assert recognize_layout(flow(rng, side), SFREQ) == "iq"


def test_flow_of_both_sides_alike_cannot_be_told_and_stays_iq(rng):
    both = flow(rng) + flow(rng, -1)
    towards, away = forward_reverse_audio(both, SFREQ)
    assert recognize_layout(both, SFREQ) == "iq"
    assert recognize_layout(towards + 1j * away, SFREQ) == "iq"


def test_unequal_gain_of_i_and_q_is_no_direction(rng):
    samples = flow(rng)
    assert recognize_layout(samples.real + 0.5j * samples.imag, SFREQ) == "iq"


def test_sidecar_and_option_win_over_recognition(directional):
    path, _ = directional
    assert open_source(path, layout="iq").layout == "iq"
    path.with_suffix(".json").write_text(json.dumps({"layout": "iq"}))
    assert open_source(path).layout == "iq"
    assert open_source(path, layout="forward_reverse").layout == "forward_reverse"


@pytest.mark.parametrize("channel", [1, 2])
def test_dead_channel_is_named(tmp_path, rng, channel):
    samples = flow(rng)
    alone = samples.real * (1 if channel == 2 else 1j) + 0.01 * (1 + 1j)
    write_wav(tmp_path / "a.wav", alone, SFREQ, "FLOAT")
    with pytest.raises(DataError, match=f"a.wav': channel {channel} is dead"):
        open_source(tmp_path / "a.wav")


def test_silence_is_no_dead_channel(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(50000), SFREQ)
    assert_array_equal(read_recording(tmp_path / "a.wav").samples, 0)


def test_unknown_layout(tmp_path):
    with pytest.raises(SettingsError, match="--layout 'stereo': unknown; expected auto, iq or"):
        open_source(tmp_path / "a.wav", layout="stereo")


@pytest.mark.parametrize(("frequency", "side"), [(700, 0), (-700, 1)])
def test_clip_has_flow_towards_the_probe_on_the_left(frequency, side):
    clip = stereo_clip(tone(frequency, 4385), SFREQ)
    assert clip.shape == (44100, 2)
    assert np.abs(clip).max() == pytest.approx(0.9)
    power = np.mean(clip[5000:-5000] ** 2, axis=0)
    assert power[side] > 1e4 * power[1 - side]


def test_clip_keeps_the_pitch():
    clip = stereo_clip(tone(700, 43850), SFREQ, rate=11025)
    loudest = np.argmax(np.abs(np.fft.rfft(clip[:, 0])))
    assert loudest * 11025 / len(clip) == pytest.approx(700, abs=0.2)


def test_written_clip_reads_back(tmp_path):
    write_clip(tmp_path / "a.wav", tone(700), SFREQ)
    clip, rate = soundfile.read(tmp_path / "a.wav")
    assert (rate, [file.name for file in tmp_path.iterdir()]) == (44100, ["a.wav"])
    assert_allclose(clip, stereo_clip(tone(700), SFREQ), atol=1e-4)


def test_silent_clip_stays_silent_and_an_empty_one_is_refused():
    assert_array_equal(stereo_clip(np.zeros(100, complex), SFREQ), 0)
    with pytest.raises(DataError, match="clip: no samples"):
        stereo_clip(np.zeros(0, complex), SFREQ)

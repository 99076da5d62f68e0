"""Readers: one signal in every format, and each refusal."""

import json

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.signal.readers import READERS, open_source, read_recording, write_wav
from recording_files import FORMATS, NAME, SFREQ, write_recording

PACKED = {"npz_packed"}  # or text of two bytes a letter


@pytest.fixture
def signal(rng):
    tone = 0.4 * np.exp(2j * np.pi * 500 * np.arange(9000) / SFREQ)
    return tone + 0.05 * (rng.standard_normal(9000) + 1j * rng.standard_normal(9000))


@pytest.fixture
def frames(signal):
    """The signal as a device with 16 bits gives it, with both ends of the range."""
    frames = np.rint(32768 * np.stack([signal.real, signal.imag], axis=1)).astype(np.int16)
    frames[:2] = [[-32768, 32767], [32767, -32768]]
    return frames


@pytest.mark.parametrize("kind", list(FORMATS))
def test_16_bit_signal_is_the_same_to_the_bit_in_every_format(tmp_path, frames, kind):
    recording = read_recording(write_recording(tmp_path, kind, frames))
    assert recording.sfreq == SFREQ
    expected = (frames[:, 0] + 1j * frames[:, 1]) / 32768
    assert_array_equal(recording.samples, expected[np.newaxis].astype(np.complex64))


def test_every_reader_is_among_the_formats_tested():
    assert set(FORMATS.values()) == set(READERS)


@pytest.mark.parametrize("kind", list(FORMATS))
def test_blocks_equal_the_whole(tmp_path, frames, kind):
    source = open_source(write_recording(tmp_path, kind, frames))
    parts = [source.read(a, b) for a, b in ((0, 1), (1, 4000), (4000, 4000), (4000, 9000))]
    assert_array_equal(np.concatenate(parts, axis=1), source.read(0, 9000))


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in {"csv", "txt"}])
def test_each_pair_of_channels_is_a_gate(tmp_path, frames, kind):
    both = np.concatenate([frames, frames[::-1] // 2], axis=1)
    recording = read_recording(write_recording(tmp_path, kind, both))
    assert recording.channels == ("gate 1", "gate 2")
    expected = (both[:, 2] + 1j * both[:, 3]) / 32768
    assert_array_equal(recording.samples[1], expected.astype(np.complex64))


@pytest.mark.parametrize("kind", list(FORMATS))
def test_name_in_a_header_goes_nowhere(tmp_path, frames, kind):
    path = write_recording(tmp_path, kind, frames)
    inside = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert NAME.encode() in inside or kind in {"csv", "txt", "rf64", "w64", "npz", "mat", *PACKED}
    assert NAME not in repr(open_source(path)) + repr(read_recording(path))


def test_sidecar_tells_carrier_angle_subject_and_sign_of_q(tmp_path, signal):
    write_wav(tmp_path / "a.wav", signal, SFREQ)
    plain = read_recording(tmp_path / "a.wav")
    side = {"carrier_hz": 2e6, "angle_deg": 30, "q_sign": "-", "subject_id": "s1"}
    (tmp_path / "a.json").write_text(json.dumps(side))
    told = read_recording(tmp_path / "a.wav")
    assert (told.carrier_hz, told.angle_deg, told.subject_id) == (2e6, 30, "s1")
    assert_allclose(told.samples, plain.samples.conj())


def test_options_win_over_the_sidecar(tmp_path, signal):
    write_wav(tmp_path / "a.wav", signal, SFREQ)
    (tmp_path / "a.json").write_text(json.dumps({"carrier_hz": 2e6, "q_sign": "-"}))
    source = open_source(tmp_path / "a.wav", carrier_mhz=1.5, q_sign="+")
    assert source.carrier_hz == 1.5e6
    assert_allclose(source.read(0, 9000)[0], signal, atol=1e-4)


def test_sidecar_tells_the_acquisition_items_and_nothing_else(tmp_path, signal):
    write_wav(tmp_path / "a.wav", signal, SFREQ)
    side = {"depth_mm": 50, "device": "X", "artery": "MCA", "patient": "Jane Roe", "side": "left"}
    (tmp_path / "a.json").write_text(json.dumps(side))
    assert open_source(tmp_path / "a.wav").items == {
        "insonation_depth_mm": "50",
        "ultrasound_device": "X",
        "artery": "MCA",
        "side": "left",
    }


def test_columns_without_times_need_a_rate(tmp_path, signal):
    np.savetxt(tmp_path / "a.csv", np.c_[signal.real, signal.imag], delimiter=";")
    assert_allclose(read_recording(tmp_path / "a.csv", sfreq=SFREQ).samples[0], signal, atol=1e-6)
    with pytest.raises(DataError, match="without times. Pass --sfreq"):
        read_recording(tmp_path / "a.csv")


def test_integer_iq_is_scaled_to_full_scale(tmp_path):
    np.savez(tmp_path / "a.npz", iq=np.full((10, 2), -32768, np.int16), sfreq=5000)
    assert_allclose(read_recording(tmp_path / "a.npz").samples, -1 - 1j)


def refused(path, text, **options):
    with pytest.raises(DataError, match=text) as caught:
        read_recording(path, **options)
    assert path.name in str(caught.value)


def test_missing_file(tmp_path):
    refused(tmp_path / "no.wav", "no such file. Check the path")


def test_folder(tmp_path):
    refused(tmp_path, "a folder; expected a file")


def test_empty_file(tmp_path):
    (tmp_path / "a.wav").touch()
    refused(tmp_path / "a.wav", "empty")


def test_text_renamed_wav(tmp_path):
    (tmp_path / "a.wav").write_text("this is a letter, not a recording\n")
    refused(tmp_path / "a.wav", "not an audio file")


def test_mono(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(5000), 4385)
    refused(tmp_path / "a.wav", "mono; expected two channels a gate, I and Q")


def test_not_a_number_is_named_by_its_time(tmp_path):
    pair = np.zeros((9000, 2))
    pair[4385] = np.nan
    soundfile.write(tmp_path / "a.wav", pair, 4385, "FLOAT")
    refused(tmp_path / "a.wav", r"not a number at 1\.000 s")


def test_unknown_suffix_names_what_is_read(tmp_path):
    (tmp_path / "a.doc").write_text("x")
    refused(tmp_path / "a.doc", r"format '.doc' is not read; expected \.wav")


def test_other_rate_than_the_file_says(tmp_path, signal):
    write_wav(tmp_path / "a.wav", signal, SFREQ)
    refused(tmp_path / "a.wav", "the file says 4385 Hz and --sfreq 4386", sfreq=4386)


def test_music_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((5000, 2)), 44100)
    refused(tmp_path / "a.wav", "sampled at 44100 Hz; expected a pulse repetition frequency")


def test_rate_of_zero(tmp_path):
    np.savez(tmp_path / "a.npz", iq=np.zeros((10, 2)), sfreq=0)
    refused(tmp_path / "a.npz", "sfreq is 0.0; expected a positive number of Hz")


def test_npz_without_samples_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros(3), sfreq=5000)
    refused(tmp_path / "a.npz", "holds X, sfreq; expected iq")


def test_npz_with_objects_runs_nothing(tmp_path):
    np.savez(tmp_path / "a.npz", iq=np.array([{"a": 1}], dtype=object))
    refused(tmp_path / "a.npz", "iq.npy is no plain array")


def test_csv_row_that_is_no_number(tmp_path):
    (tmp_path / "a.csv").write_text("t,I,Q\n0,0,0\n0.0002,x,0\n")
    refused(tmp_path / "a.csv", "row 3: 'x' is no number. Mend that row")


def test_csv_gap_in_time(tmp_path):
    (tmp_path / "a.csv").write_text("0,0,0\n0.001,0,0\n0.002,0,0\n0.009,0,0\n0.010,0,0\n")
    refused(tmp_path / "a.csv", "the times jump after 0.002 s")


def test_text_renamed_edf(tmp_path):
    pytest.importorskip("edfio")
    (tmp_path / "a.edf").write_text("this is a letter\n")
    refused(tmp_path / "a.edf", "not an EDF or BDF file")


def test_broken_sidecar(tmp_path, signal):
    write_wav(tmp_path / "a.wav", signal, SFREQ)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="a.json': not JSON"):
        open_source(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"q_sign": "x"}, "--q-sign 'x': unknown"), ({"carrier_mhz": 2e6}, "--carrier-mhz 2000000")],
)
def test_option_out_of_range(tmp_path, options, text):
    with pytest.raises(SettingsError, match=text):
        open_source(tmp_path / "a.wav", **options)

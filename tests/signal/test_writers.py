"""Recordings and annotations that are written, and what stands on disk when it goes wrong."""

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.signal import writers
from emboscope.signal.annotations import (
    Annotation,
    write_edf_annotations,
    write_wfdb_annotations,
)
from emboscope.signal.readers import read_recording
from emboscope.signal.source import load_library
from emboscope.signal.writers import WavWriter, write_wav

SFREQ = 4385.0
NOTES = [Annotation(1.2345, 0.0249, "embolus"), Annotation(59.99991, 0.0, "doubtful, 7 dB")]


@pytest.fixture
def gates(rng):
    return 0.3 * (rng.standard_normal((2, 9000)) + 1j * rng.standard_normal((2, 9000)))


@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23)])
def test_written_wav_reads_back_within_half_a_step(tmp_path, gates, subtype, step):
    gates = np.clip(gates.real, -1, 1 - step) + 1j * np.clip(gates.imag, -1, 1 - step)
    write_wav(tmp_path / "a.wav", gates, SFREQ, subtype)
    back = read_recording(tmp_path / "a.wav").samples
    assert_allclose(back.real, gates.real, atol=0.5 * step + 6e-8)  # half a step of float32 at 1
    assert_allclose(back.imag, gates.imag, atol=0.5 * step + 6e-8)


def test_16_bits_read_and_written_again_are_the_same(tmp_path, rng):
    frames = rng.integers(-32768, 32768, (9000, 2), np.int16)
    soundfile.write(tmp_path / "a.wav", frames, 4385, "PCM_16")
    write_wav(tmp_path / "b.wav", read_recording(tmp_path / "a.wav").samples, SFREQ)
    assert_array_equal(soundfile.read(tmp_path / "b.wav", dtype="int16")[0], frames)


def test_floating_point_keeps_what_is_beyond_full_scale(tmp_path, gates):
    write_wav(tmp_path / "a.wav", 5 * gates, SFREQ, "FLOAT")
    assert_array_equal(read_recording(tmp_path / "a.wav").samples, (5 * gates).astype("c8"))


def test_blocks_written_equal_the_whole(tmp_path, gates):
    write_wav(tmp_path / "whole.wav", gates, SFREQ)
    with WavWriter(tmp_path / "parts.wav", SFREQ, 4) as writer:
        for start in range(0, 9000, 1000):
            writer.write(gates[:, start : start + 1000])
    assert (tmp_path / "parts.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()


def test_file_has_its_name_only_after_a_clean_exit(tmp_path, gates):
    with WavWriter(tmp_path / "a.wav", SFREQ, 4) as writer:
        writer.write(gates)
        assert not (tmp_path / "a.wav").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_error_leaves_nothing_behind(tmp_path, gates):
    def interrupted():
        with WavWriter(tmp_path / "a.wav", SFREQ, 4) as writer:
            writer.write(gates)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_beyond_4_gib_it_is_rf64(tmp_path, monkeypatch, gates):
    monkeypatch.setattr(writers, "LARGEST_WAV", 1000)
    write_wav(tmp_path / "a.wav", gates, SFREQ)
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RF64"
    assert read_recording(tmp_path / "a.wav").n_times == 9000


def test_other_number_of_gates(tmp_path, gates):
    with (
        pytest.raises(DataError, match="2 gates; expected 1"),
        WavWriter(tmp_path / "a.wav", SFREQ) as writer,
    ):
        writer.write(gates)


def test_fraction_of_a_hertz_and_unknown_subtype(tmp_path):
    with pytest.raises(DataError, match="a WAV header holds whole Hz only"):
        write_wav(tmp_path / "a.wav", np.zeros(5, complex), 173.61)
    with pytest.raises(SettingsError, match="WAV subtype 'MP3': unknown; expected PCM_16"):
        write_wav(tmp_path / "a.wav", np.zeros(5, complex), SFREQ, "MP3")


def test_edf_annotations_read_back_to_a_tenth_of_a_millisecond(tmp_path):
    edfio = load_library("edfio", "EDF+")
    write_edf_annotations(tmp_path / "a.edf", NOTES, 60.0)
    back = edfio.read_edf(tmp_path / "a.edf").annotations
    assert [note.text for note in back] == [note.text for note in NOTES]
    assert_allclose([n.onset for n in back], [n.onset_s for n in NOTES], atol=0.5e-4)
    assert_allclose([n.duration for n in back], [n.duration_s for n in NOTES], atol=0.5e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.edf"]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, within wfdb
def test_wfdb_annotations_read_back_to_a_sample(tmp_path):
    wfdb = load_library("wfdb", "WFDB")
    write_wfdb_annotations(tmp_path / "p01.atr", NOTES[::-1], SFREQ, 60.0)
    back = wfdb.rdann(str(tmp_path / "p01"), "atr")
    assert_array_equal(back.sample, [round(1.2345 * SFREQ), round(59.99991 * SFREQ)])
    assert back.aux_note == ["embolus 24.9 ms", "doubtful, 7 dB 0.0 ms"]
    assert back.fs == SFREQ
    assert [path.name for path in tmp_path.iterdir()] == ["p01.atr"]


def test_annotation_outside_the_recording(tmp_path):
    with pytest.raises(DataError, match="one at 59.99991 s of 0.0 s; expected it within"):
        write_edf_annotations(tmp_path / "a.edf", NOTES, 59.0)


def test_missing_library_names_the_command():
    with pytest.raises(DataError, match="TDMS needs the library nptdms_.*emboscope\\[files\\]"):
        load_library("nptdms_", "TDMS")

"""What cannot be read, each with one sentence that says so."""

import json

import numpy as np
import pytest
import soundfile

from emboscope.errors import DataError
from emboscope.signal.readers import open_source, read_recording, write_wav
from recording_files import write_recording


@pytest.fixture
def frames(rng):
    return (4000 * rng.standard_normal((9000, 2))).astype(np.int16)


def refused(path, text, **options):
    with pytest.raises(DataError, match=text) as caught:
        read_recording(path, **options)
    assert path.stem in str(caught.value)


def side(path, **content):
    path.with_suffix(".json").write_text(json.dumps(content))


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


def test_other_rate_than_the_file_says(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(9000), 4385)
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


def test_broken_sidecar(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(9000), 4385)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match="a.json': not JSON"):
        open_source(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "flac", "edf", "bdf", "wfdb", "npz", "mat"])
def test_recording_that_is_cut_off(tmp_path, frames, kind):
    path = write_recording(tmp_path, kind, frames)
    cut = path.with_suffix(".dat") if kind == "wfdb" else path
    cut.write_bytes(cut.read_bytes()[:20000])
    refused(path, "cut off|damaged")


def test_raw_without_sidecar(tmp_path, frames):
    path = write_recording(tmp_path, "raw", frames)
    path.with_suffix(".json").unlink()
    refused(path, "p01.json beside it lacks sfreq, n_channels, dtype")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"dtype": "int12"}, "dtype is 'int12'; expected int16, int32, float32"),
        ({"n_channels": 1}, "mono; expected two channels a gate"),
        ({"n_channels": 3}, "3 channels; expected two channels a gate"),
        ({"n_channels": "two"}, "n_channels is 'two'; expected a number"),
        ({"dtype": "int32", "n_channels": 14}, "36000 bytes; expected a multiple of 56"),
    ],
)
def test_raw_with_a_wrong_sidecar(tmp_path, frames, change, text):
    path = write_recording(tmp_path, "raw", frames)
    side(path, **({"sfreq": 4385, "n_channels": 2, "dtype": "int16"} | change))
    refused(path, text)


@pytest.mark.parametrize("kind", ["edf", "bdf"])
@pytest.mark.parametrize(
    ("at", "word", "text"),
    [
        (192, "EDF+D", r"interrupted \(EDF\+D\)"),
        (244, "0       ", "a record of 0 s"),
        (236, "-1      ", "cut off after"),
        (252, "9999", "9999 signals; expected two"),
        (0, "1       ", "not an EDF or BDF file"),
    ],
)
def test_edf_header(tmp_path, frames, kind, at, word, text):
    path = write_recording(tmp_path, kind, frames)
    content = bytearray(path.read_bytes())
    content[at : at + len(word)] = word.encode()
    path.write_bytes(content)
    refused(path, text)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("1", "1", "a gain of zero; expected -1 to 1"),
        ("-5000", "5000", "physical range -5000 to 5000; expected -1 to 1"),
    ],
)
def test_edf_physical_range(tmp_path, frames, low, high, text):
    path = write_recording(tmp_path, "edf", frames)
    content = bytearray(path.read_bytes())
    n_signals = int(content[252:256])
    for value, before in ((low, 16 + 80 + 8), (high, 16 + 80 + 8 + 8)):
        at = 256 + n_signals * before
        content[at : at + 8] = value.encode().ljust(8)
    path.write_bytes(content)
    refused(path, text)


@pytest.mark.parametrize("gain", ["0", "200", "nan"])
def test_wfdb_gain(tmp_path, frames, gain):
    path = write_recording(tmp_path, "wfdb", frames)
    path.write_text(path.read_text().replace("32768(0)", f"{gain}(0)"))
    refused(path, "a gain of 200 .*expected 32768, so that 1 is full scale|not a WFDB header")


def test_wfdb_whose_signals_lie_elsewhere(tmp_path, frames):
    path = write_recording(tmp_path, "wfdb", frames)
    path.write_text(path.read_text().replace("p01.dat", "../p01.dat"))
    refused(path, "its signals lie in another folder|not a WFDB header")
    path.write_text(path.read_text().replace("../p01.dat", "p02.dat"))
    refused(path, "'p02.dat' is not beside it")


def test_hdf5_whose_samples_lie_elsewhere(tmp_path, frames):
    h5py = pytest.importorskip("h5py")
    write_recording(tmp_path, "h5", frames)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["iq"], file["sfreq"] = h5py.ExternalLink("p01.h5", "/iq"), 4385
    refused(tmp_path / "a.h5", "holds iq, sfreq; expected iq")


def test_text_renamed_hdf5_and_mat(tmp_path):
    for suffix in ("h5", "mat", "npz", "flac", "hea"):
        (tmp_path / f"a.{suffix}").write_text("this is a letter, not a recording\n")
        refused(tmp_path / f"a.{suffix}", "not a|no signals")


def test_mat_without_rate(tmp_path):
    import scipy.io

    scipy.io.savemat(tmp_path / "a.mat", {"iq": np.zeros((5000, 2))})
    refused(tmp_path / "a.mat", "no sfreq in it. Pass --sfreq")
    assert read_recording(tmp_path / "a.mat", sfreq=4385).sfreq == 4385


def test_csv_in_counts_of_the_converter(tmp_path, frames):
    np.savetxt(tmp_path / "a.csv", frames, "%d", delimiter=",")
    refused(tmp_path / "a.csv", "expected fractions of full scale.*full_scale in the", sfreq=4385)
    side(tmp_path / "a.csv", full_scale=32768)
    samples = read_recording(tmp_path / "a.csv", sfreq=4385).samples[0]
    np.testing.assert_array_equal(samples.imag, (frames[:, 1] / 32768).astype("f4"))


def test_csv_of_several_widths(tmp_path):
    (tmp_path / "a.csv").write_text("0,0\n0,0,0\n")
    refused(tmp_path / "a.csv", "row 2: 3 columns; expected 2", sfreq=4385)


@pytest.mark.parametrize(("key", "value"), [("layout", "mono"), ("carrier_hz", "2 MHz")])
def test_sidecar_with_a_wrong_value(tmp_path, frames, key, value):
    path = write_recording(tmp_path, "wav", frames)
    side(path, **{key: value})
    with pytest.raises(DataError, match=f"{key} is '{value}'; expected"):
        open_source(path)


@pytest.mark.parametrize(
    ("key", "value", "limits"),
    [
        ("carrier_hz", 2, "500000 to 2e.07"),
        ("carrier_hz", -2e6, "500000 to 2e.07"),
        ("angle_deg", 95, "0 to 89"),
        ("sound_speed_m_s", 0, "1000 to 2000"),
    ],
)
def test_a_sidecar_out_of_range(tmp_path, frames, key, value, limits):
    path = write_recording(tmp_path, "wav", frames)
    side(path, **{key: value})
    refused(path, f"{key} is {value!r}; expected {limits}")

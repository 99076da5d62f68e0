"""Readers: one signal in every format, and each refusal."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.signal import tables
from emboscope.signal.mat_files import read_mat5
from emboscope.signal.readers import READERS, open_source, read_recording, write_wav
from emboscope.signal.sidecar import ITEMS
from recording_files import FORMATS, NAME, SFREQ, write_recording

NO_PLAIN_NAME = {"csv", "txt", "rf64", "w64", "npz", "npz_packed", "mat"}  # none, or packed


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
    assert NAME.encode() in inside or kind in NO_PLAIN_NAME
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


@pytest.mark.parametrize(
    ("options", "text"),
    [({"q_sign": "x"}, "--q-sign 'x': unknown"), ({"carrier_mhz": 2e6}, "--carrier-mhz 2000000")],
)
def test_option_out_of_range(tmp_path, options, text):
    with pytest.raises(SettingsError, match=text):
        open_source(tmp_path / "a.wav", **options)


def test_every_format_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
    assert [suffix for suffix in READERS if f"`{suffix}`" not in text] == []
    assert [key for key in ITEMS if f"`{key}`" not in text] == []


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".mat"])
def test_complex_samples_of_several_gates(tmp_path, signal, suffix):
    gates = np.stack([signal, 0.5 * signal.conj()])
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["samples"], file["fs"], file["carrier_hz"] = gates, SFREQ, 2e6
    elif suffix == ".npz":
        np.savez(path, samples=gates, sfreq=SFREQ, carrier_hz=2e6)
    else:
        scipy.io.savemat(path, {"samples": gates, "sfreq": SFREQ, "carrier_hz": 2e6})
    recording = read_recording(path)
    assert_array_equal(recording.samples, gates.astype(np.complex64))
    assert recording.carrier_hz == 2e6


def test_edf_without_a_marked_end_is_read_to_the_last_record(tmp_path, frames):
    path = write_recording(tmp_path, "edf", frames)
    path.write_bytes(path.read_bytes().replace(b"recording ends", b"something else"))
    samples = read_recording(path).samples[0]
    assert samples.size == 3 * SFREQ
    assert_array_equal(samples[9000:], 0)


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_edf_reader_agrees_with_edfio(tmp_path, frames, kind):
    edfio = pytest.importorskip("edfio")
    path = write_recording(tmp_path, kind, frames)
    twin = (edfio.read_edf if kind == "edf" else edfio.read_bdf)(path).signals
    samples = read_recording(path).samples[0]
    assert_allclose(samples.real, twin[0].data[:9000], atol=1e-6)  # 8 characters of range
    assert_allclose(samples.imag, twin[1].data[:9000], atol=1e-6)


def test_long_table_is_read_in_blocks(tmp_path, signal, monkeypatch):
    monkeypatch.setattr(tables, "LINES", 1000)
    np.savetxt(tmp_path / "a.csv", np.c_[signal.real, signal.imag], delimiter=";")
    assert_allclose(read_recording(tmp_path / "a.csv", sfreq=SFREQ).samples[0], signal, atol=1e-6)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("0;x\n")
    with pytest.raises(DataError, match="row 9001: 'x' is no number"):
        read_recording(tmp_path / "a.csv", sfreq=SFREQ)


def test_reading_a_table_takes_at_most_ten_times_its_array(tmp_path, rng):
    table = rng.standard_normal((100_000, 2)) / 8
    np.savetxt(tmp_path / "a.csv", table, "%.6f", delimiter=",")
    tracemalloc.start()
    try:
        samples = read_recording(tmp_path / "a.csv", sfreq=SFREQ).samples
        assert tracemalloc.get_traced_memory()[1] < 10 * samples.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("ignore:Casting complex")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "f4", "f8", "c8", "c16"])
def test_mat_reader_agrees_with_scipy(tmp_path, rng, dtype, packed):
    array = (100 * rng.random((50, 3)) + 1j * rng.random((50, 3))).astype(dtype, casting="unsafe")
    content = {"iq": array, "small": np.uint8(7), "text": "Roe", "cell": {"a": 1}, "fs": SFREQ}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=packed)
    arrays = read_mat5(tmp_path / "a.mat", ("iq", "small", "fs"), 10**6)
    twin = scipy.io.loadmat(tmp_path / "a.mat")
    for name in ("iq", "small", "fs"):
        assert_array_equal(arrays[name], twin[name])
    assert list(arrays) == list(content)
    assert arrays["text"].dtype.kind == arrays["cell"].dtype.kind == "U"

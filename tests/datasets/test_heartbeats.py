"""PTB and MIT-BIH: the published files, the records they came from, what is refused."""

import hashlib
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import resample_poly
from typer.testing import CliRunner

from emboscope.cli.app import app
from emboscope.datasets import fetch as source
from emboscope.datasets import load_dataset
from emboscope.datasets.beats import cut_beats, find_r_peaks
from emboscope.datasets.fetch import Entry, RemoteFile
from emboscope.datasets.heartbeat_records import MITBIH_CLASSES, mitbih_beats, ptb_beats
from emboscope.datasets.heartbeats import heartbeat_front_end, released_ptb_split
from emboscope.errors import DataError
from heartbeat_files import beating, read_record, write_annotations, write_record
from twins.heartbeats import mitbih_rows, row_of

DATA = Path(os.environ.get("EMBOSCOPE_DATA", "/nowhere"))
CONTROL = ["Reason for admission: Healthy control"]
INFARCT = ["age: 81", "Reason for admission: Myocardial infarction"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder; the cache is empty too."""
    monkeypatch.setenv("EMBOSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """WFDB records of the two databases."""
    archive = DATA / "biosignal_reader_samples.tar.gz"
    if not archive.is_file():
        pytest.skip("EMBOSCOPE_DATA holds no biosignal_reader_samples.tar.gz")
    out = tmp_path_factory.mktemp("samples")
    with tarfile.open(archive) as content:
        content.extractall(out, filter="data")
    return out / "wfdb"


def mitbih_record(folder, name, rng, symbols="+NLRej~AaJSVEF/fQN", n_times=9000):
    """A record with an annotation of each kind, at steps that differ; what was written."""
    marks = 40 + np.cumsum(rng.integers(150, 420, len(symbols)))
    channels = np.column_stack([
        beating(n_times, marks, 6.0, rng), rng.integers(-50, 50, n_times),
    ])  # fmt: skip
    write_record(folder, name, channels, 360, ["MLII", "V5"])
    write_annotations(folder, name, marks, symbols, 360)
    return channels[:, 0], marks, symbols


def publish(monkeypatch, folder, name, tables, ending=b"\n"):
    """Small tables in place of the published files of a data set, known by their sums."""
    remote = []
    for file, table in tables.items():
        lines = [",".join(f"{value:.18e}" for value in row).encode() for row in table]
        text = b"".join(line + b"\n" for line in lines)
        remote.append(
            RemoteFile(file, sha256=hashlib.sha256(text).hexdigest(), size=len(text), text=True)
        )
        (folder / file).write_bytes(text.replace(b"\n", ending))
    monkeypatch.setitem(source.CATALOG, name, Entry(name, "", tuple(remote), by_hand="get it"))


def table(rng, labels):
    """Rows of 187 numbers of 32 bits, then the label."""
    return np.column_stack([rng.random((len(labels), 187)).astype(np.float32), labels])


# --- rows of arrays -------------------------------------------------------------------------------


def test_a_row_ends_a_fifth_of_an_interval_after_the_next_mark():
    """Marks at 0, 10, 20 of a ramp 0…29: the row is 0…11, over its span of 11."""
    rows = cut_beats(np.arange(30), np.array([0, 10, 20]), [0, 1])
    assert_allclose(rows[0, :12], np.arange(12) / 11, rtol=1e-6)  # of float32
    assert_array_equal(rows[0, 12:], 0)
    assert_array_equal(rows[0], rows[1])


def test_a_long_beat_is_scaled_by_what_is_cut_off():
    signal = np.zeros(1000)
    signal[10], signal[500] = 1, 4
    (row,) = cut_beats(signal, np.array([0, 600, 700]), [0])
    assert row[10] == 0.25
    assert row.max() == 0.25


def test_gain_and_offset_leave_rows_as_they_are(rng):
    signal, marks = rng.integers(-99, 99, 500), np.array([3, 120, 300])
    assert_array_equal(cut_beats(4 * signal + 7, marks, [0, 1]), cut_beats(signal, marks, [0, 1]))


def test_a_constant_beat_is_zero_and_not_nan():
    assert_array_equal(cut_beats(np.full(90, 5), np.array([0, 30, 60]), [0, 1]), 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_r_peaks_are_found_where_they_were_put(rng, sign):
    """Beats 0.6 to 1.1 s apart on a wave of breathing five times as high."""
    sfreq = 125.0
    beats = np.cumsum(rng.integers(75, 138, 60))
    times = np.arange(beats[-1] + 100)
    wave = 4500 * np.sin(2 * np.pi * 0.2 * times / sfreq)
    signal = sign * beating(len(times), beats, 2.0, rng) + wave
    found = find_r_peaks(signal, sfreq)
    assert len(found) == len(beats)
    assert np.abs(found - beats).max() <= 1  # sample: noise on the top of a peak


def test_gain_and_offset_move_no_r_peak(rng):
    signal = beating(2000, np.arange(50, 2000, 100), 2.0, rng)
    assert_array_equal(find_r_peaks(1e-6 * signal + 3, 125.0), find_r_peaks(signal, 125.0))


@pytest.mark.parametrize("signal", [np.zeros(1000), np.linspace(0, 3e4, 5000), np.ones(100)])
def test_a_straight_or_short_signal_has_no_r_peak(signal):
    assert find_r_peaks(signal, 125.0).size == 0


# --- MIT-BIH from its records ---------------------------------------------------------------------


def test_rows_of_records_equal_the_recipe_written_slowly(folder, rng):
    written = {name: mitbih_record(folder / "mitdb", name, rng) for name in ("100", "203")}
    beats = mitbih_beats(folder / "mitdb")
    twins = [mitbih_rows(*each) for each in written.values()]
    assert_array_equal(beats.rows, np.concatenate([rows for rows, _ in twins]))
    assert_array_equal(beats.y, np.concatenate([classes for _, classes in twins]))
    assert beats.y[:15].tolist() == [0] * 5 + [1] * 4 + [2] * 2 + [3] + [4] * 3


def test_two_records_of_one_person_are_one_group(folder, rng):
    for name in ("201", "202", "203"):
        mitbih_record(folder / "mitdb", name, rng)
    data = load_dataset("mitbih")
    assert set(data.groups) == {"201", "203"}
    assert (data.groups == "201").sum() == 2 * (data.groups == "203").sum()
    assert (data.name, data.group_kind) == ("mitdb", "patient")
    assert data.classes == MITBIH_CLASSES
    assert data.sfreq == 120
    assert data.views["waveform"].shape[1:] == (1, 187)
    assert data.views["spectrogram"].shape[1:] == (1, 32, 39)


def test_real_record_equals_the_recipe_written_slowly(samples, tmp_path):
    for suffix in ("hea", "dat", "atr"):
        (tmp_path / f"100.{suffix}").write_bytes((samples / f"100.{suffix}").read_bytes())
    beats = mitbih_beats(tmp_path)
    rows, classes = mitbih_rows(*read_record(tmp_path / "100"))
    assert_array_equal(beats.rows, rows)
    assert_array_equal(beats.y, classes)
    assert np.bincount(beats.y).tolist() == [2238, 33, 1]  # all 2273 beats but the last


def test_r_peaks_of_a_real_record_are_its_annotated_beats(samples):
    channel, marks, symbols = read_record(samples / "100")
    beats = marks[np.isin(symbols, list("NAV"))] / 360
    found = find_r_peaks(resample_poly(channel.astype(float), 25, 72, padtype="line"), 125.0) / 125
    assert len(found) == len(beats) == 2273
    assert np.abs(found - beats).max() < 0.05  # s, well within a QRS complex of 0.1 s


def test_a_record_without_annotations_is_named(folder, rng):
    mitbih_record(folder / "mitdb", "100", rng)
    (folder / "mitdb" / "100.atr").unlink()
    with pytest.raises(DataError, match=r"100.atr is missing; expected it beside the header"):
        load_dataset("mitdb")


def test_a_damaged_record_is_named(folder, rng):
    mitbih_record(folder / "mitdb", "100", rng)
    (folder / "mitdb" / "100.hea").write_text("100 2 360\n100.dat 99 1 2 3\n")
    with pytest.raises(DataError, match="not a WFDB record, or damaged"):
        load_dataset("mitdb")


def test_records_that_the_list_names_must_be_there(folder, rng):
    mitbih_record(folder / "mitdb", "100", rng)
    (folder / "mitdb" / "RECORDS").write_text("100\n101\n")
    with pytest.raises(DataError, match="101 is missing, 1 of the 2 in RECORDS are there"):
        load_dataset("mitdb")


def test_records_without_a_beat_are_refused(folder, rng):
    mitbih_record(folder / "mitdb", "100", rng, symbols="+~+~")
    with pytest.raises(DataError, match="no beat of a known class in 1 records"):
        load_dataset("mitdb")


# --- PTB from its records -------------------------------------------------------------------------


def ptb_record(folder, record, comments, rng, leads=("i", "ii")):
    """20 s at 1000 Hz; lead II beats every 0.8 s, lead I is noise."""
    beats = np.arange(400, 20_000, 800)
    channels = np.column_stack([
        rng.integers(-50, 50, 20_000), beating(20_000, beats, 16.0, rng),
    ])  # fmt: skip
    patient, name = record.split("/")
    write_record(folder / "ptbdb" / patient, name, channels, 1000, list(leads), comments)


def test_ptb_records_become_beats_of_patients_that_are_healthy_or_not(folder, rng):
    ptb_record(folder, "patient001/s1", INFARCT, rng)
    ptb_record(folder, "patient002/s2", CONTROL, rng)
    ptb_record(folder, "patient002/s3", CONTROL, rng)
    ptb_record(folder, "patient003/s4", ["Reason for admission: Valvular heart disease"], rng)
    ptb_record(folder, "patient004/s5", ["Reason for admission: n/a"], rng)
    data = load_dataset("ptb")
    assert (data.name, data.group_kind, data.sfreq) == ("ptbdb", "patient", 125)
    assert data.classes == ("normal", "abnormal")
    groups, counts = np.unique(data.groups, return_counts=True)
    assert groups.tolist() == ["patient001", "patient002"]
    assert counts.tolist() == [24, 48]  # 25 beats a record, the last of each is dropped
    assert_array_equal(data.y, data.groups == "patient001")


def test_a_beat_of_ptb_begins_at_its_peak_and_ends_after_the_next(folder, rng):
    """0.8 s at 125 Hz are 100 samples: the next peak is at 100, the row ends at 120."""
    ptb_record(folder, "patient001/s1", INFARCT, rng)
    rows = ptb_beats(folder / "ptbdb").rows[2:-2]
    assert rows[:, 0].min() > 0.9
    assert np.abs(rows[:, 50:].argmax(axis=1) + 50 - 100).max() <= 1
    assert np.abs((rows > 0).sum(axis=1) - 120).max() <= 2


def test_real_ptb_record_is_read_by_its_header(samples, tmp_path):
    (tmp_path / "patient001").mkdir()
    for suffix in ("hea", "dat"):
        name = f"s0010_re.{suffix}"
        (tmp_path / "patient001" / name).write_bytes((samples / name).read_bytes())
    beats = ptb_beats(tmp_path)
    assert set(beats.y) == {1}
    assert set(beats.groups) == {"patient001"}
    assert 45 < len(beats.y) < 60  # 38.4 s at about 82 beats a minute
    lengths = (beats.rows > 0).sum(axis=1)
    assert np.ptp(lengths) < 15  # a steady rhythm: no beat was missed or found twice


def test_ptb_records_without_patients_or_lead_are_refused(folder, rng):
    ptb_record(folder, "patient001/s1", INFARCT, rng, leads=("i", "v1"))
    with pytest.raises(DataError, match="leads i, v1; expected ii"):
        load_dataset("ptbdb")
    with pytest.raises(DataError, match="s1 stands in no folder of a patient"):
        ptb_beats(folder / "ptbdb" / "patient001")


# --- the published files --------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_published_ptb_is_read_with_either_end_of_line(folder, monkeypatch, rng, ending):
    normal, abnormal = table(rng, [0] * 3), table(rng, [1] * 5)
    tables = {"ptbdb_normal.csv": normal, "ptbdb_abnormal.csv": abnormal}
    publish(monkeypatch, folder, "ptb", tables, ending)
    data = load_dataset("ptb")
    assert_array_equal(data.views["waveform"][:, 0], np.concatenate([normal, abnormal])[:, :-1])
    assert data.y.tolist() == [0] * 3 + [1] * 5
    assert data.views["spectrogram"].shape == (8, 1, 32, 39)
    assert (data.name, data.group_kind, data.sfreq) == ("ptb", "row", 125)
    assert len(set(data.groups)) == 8
    assert np.array_equal(np.flatnonzero(data.is_test), released_ptb_split(data.y)[1])


def test_published_mitbih_has_the_second_file_as_its_test_part(folder, monkeypatch, rng):
    train, test = table(rng, [0, 1, 2, 3, 4]), table(rng, [4, 0])
    publish(monkeypatch, folder, "mitbih", {"mitbih_train.csv": train, "mitbih_test.csv": test})
    mitbih_record(folder / "mitdb", "100", rng)  # the published files come before the records
    data = load_dataset("mitbih")
    assert data.name == "mitbih"
    assert data.y.tolist() == [0, 1, 2, 3, 4, 4, 0]
    assert data.is_test.tolist() == [False] * 5 + [True] * 2
    assert (data.group_kind, data.sfreq) == ("row", 120)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda text: text[:-25], r"bytes; expected \d+. Fetch it again"),
        (lambda text: text.replace(b"1", b"2", 1), "sha256 is .*; expected"),
    ],
)
def test_published_file_of_another_size_or_sum_is_refused(folder, monkeypatch, rng, damage, text):
    publish(monkeypatch, folder, "ptb", {"ptbdb_normal.csv": table(rng, [0, 1])})
    path = folder / "ptbdb_normal.csv"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=text):
        load_dataset("ptb")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ptb", ["kaggle.com/datasets/shayanfazeli/heartbeat", "ptbdb_abnormal.csv", "ptbdb,"]),
        ("mitbih", ["kaggle.com/datasets/shayanfazeli/heartbeat", "mitbih_test.csv", "mitdb,"]),
        (
            "ptbdb",
            ["Run: emboscope data fetch ptbdb", "physionet.org/files/ptbdb/1.0.0/", "data/ptbdb"],
        ),
        (
            "mitdb",
            ["Run: emboscope data fetch mitdb", "physionet.org/files/mitdb/1.0.0/", "data/mitdb"],
        ),
    ],
)
def test_without_data_it_says_how_to_get_them_and_exits_with_3(folder, name, words):
    done = CliRunner().invoke(app, ["train", name, "--out", str(folder / "run")])
    told = " ".join(done.output.split())
    assert done.exit_code == 3
    assert f"data set '{name}': not on this machine; fetch the data first" in told
    for word in [*words, str(folder)]:
        assert word in told, word


def test_real_ptb_rows_make_finite_views():
    path = DATA / "ptbdb_sample200.npz"
    if not path.is_file():
        pytest.skip("EMBOSCOPE_DATA holds no ptbdb_sample200.npz")
    with np.load(path, allow_pickle=False) as content:
        rows = content["X"]
    views = heartbeat_front_end(125.0).compute(rows[:, None])
    assert_array_equal(views["waveform"][:, 0], rows)
    assert views["spectrogram"].shape == (200, 1, 32, 39)
    assert all(np.isfinite(view).all() for view in views.values())


def test_released_split_has_the_published_sizes():
    y = np.repeat([0, 1], [4_046, 10_506])
    train, test = released_ptb_split(y)
    assert np.bincount(y[train]).tolist() == [3_237, 8_405]
    assert np.bincount(y[test]).tolist() == [809, 2_101]
    assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(14_552))
    assert_array_equal(released_ptb_split(y)[0], train)
    assert not np.array_equal(released_ptb_split(y, seed=1)[0], train)


def test_a_beat_written_slowly_is_the_beat(rng):
    """The twin itself, against numbers by hand."""
    assert row_of([2, 4, 3])[:4] == [0, 1, np.float32(0.5), 0]

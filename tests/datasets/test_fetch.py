"""Downloads against a server on this machine."""

import hashlib
import http.server
import threading

import numpy as np
import pytest

from emboscope.datasets import fetch as source
from emboscope.datasets import load_dataset
from emboscope.datasets.fetch import Entry, RemoteFile
from emboscope.errors import DataError, EmboscopeError

CONTENT = bytes(range(256)) * 4000
RECORDS = {"100.hea": b"head", "100.dat": b"signal", "100.atr": b"notes", "x/7.hea": b"other"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone":
            self.send_error(404)
            return
        if self.path.startswith("/records/"):
            self.send_record(self.path.removeprefix("/records/"))
            return
        self.send_response(200)
        cut = len(CONTENT) // 2 if self.path == "/cut" else len(CONTENT)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:cut])

    def send_record(self, name):
        """A file of a small database of records, its list, or its sums."""
        sums = [f"{hashlib.sha256(RECORDS[each]).hexdigest()} {each}\n" for each in RECORDS]
        files = RECORDS | {"RECORDS": b"100\n", "SHA256SUMS.txt": "".join(sums).encode()}
        self.server.asked.append(name)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.changed.get(name, files[name]))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.changed = [], {}
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def address_of(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def catalog(tmp_path, monkeypatch, server):
    """One data set of one file at an address of the server; the cache folder is empty."""
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    monkeypatch.delenv("EMBOSCOPE_DATA", raising=False)

    def put(path="/ok", **sums):
        file = RemoteFile("x.bin", address_of(server) + path, **sums)
        monkeypatch.setitem(source.CATALOG, "x", Entry("X", "CC0", (file,)))

    return put


def test_good_file_is_fetched_checked_and_kept(catalog, tmp_path):
    catalog(md5=hashlib.md5(CONTENT).hexdigest(), size=len(CONTENT))
    told = []
    (path,) = source.fetch("x", lambda *what: told.append(what))
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("x.bin", len(CONTENT) // 1000, len(CONTENT) // 1000)
    assert source.verify("x") == [f"x.bin: {len(CONTENT)} bytes, as published"]
    assert [each.name for each in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize(
    ("path", "sums", "error", "text"),
    [
        ("/gone", {}, EmboscopeError, "no answer to use .*404"),
        ("/cut", {}, DataError, "bytes came. Fetch it again"),
        ("/ok", {"sha256": "0" * 64}, DataError, "sha256 is .*; expected 000"),
        ("/ok", {"size": 7}, DataError, "expected 7"),
    ],
)
def test_bad_answer_leaves_nothing_behind(catalog, tmp_path, path, sums, error, text):
    catalog(path, **sums)
    with pytest.raises(error, match=text):
        source.fetch("x")
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_one_sentence(catalog, monkeypatch):
    catalog()
    with pytest.raises(EmboscopeError, match="by hand"):
        source.fetch("x", address=lambda url: "http://127.0.0.1:9/x")


def test_nothing_is_fetched_unasked(catalog):
    catalog()
    with pytest.raises(DataError, match="Run: emboscope data fetch x"):
        source.find("x")


def test_data_folder_comes_before_the_cache(catalog, tmp_path, monkeypatch):
    catalog()
    own = tmp_path / "own"
    own.mkdir()
    (own / "x.bin").write_bytes(b"mine")
    monkeypatch.setenv("EMBOSCOPE_DATA", str(own))
    assert source.fetch("x") == [own / "x.bin"]


def test_changed_file_fails_verification(catalog, tmp_path):
    catalog(md5=hashlib.md5(CONTENT).hexdigest())
    (tmp_path / "x.bin").write_bytes(b"changed")
    with pytest.raises(DataError, match="md5 is"):
        source.verify("x")


def test_data_that_need_an_account_tell_what_to_do(catalog, tmp_path):
    with pytest.raises(DataError, match="Download it with your Kaggle account"):
        source.fetch("ptb")


def test_shipped_data_are_copied(catalog, tmp_path):
    (path,) = source.copy_shipped("tcd_dwl", tmp_path / "out")
    assert path.stat().st_size > 100_000


def test_mnist_is_read_from_the_data_folder(tmp_path, monkeypatch, rng):
    monkeypatch.setenv("EMBOSCOPE_DATA", str(tmp_path))
    images = rng.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    np.savez(
        tmp_path / "mnist.npz",
        x_train=images[:8], y_train=np.arange(8), x_test=images[8:], y_test=np.arange(2),
    )  # fmt: skip
    data = load_dataset("mnist")
    assert data.views["spectrogram"].shape == (10, 1, 28, 28)
    assert data.groups.tolist() == [0] * 8 + [1] * 2
    assert data.views["spectrogram"].max() <= 1


def test_lines_that_end_in_cr_lf_are_the_same_file(tmp_path):
    text = b"0.1,0\n0.2,1\n" * 1000
    file = RemoteFile("x.csv", sha256=hashlib.sha256(text).hexdigest(), size=len(text), text=True)
    (tmp_path / "x.csv").write_bytes(text.replace(b"\n", b"\r\n"))
    source.check_file(file, tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(text.replace(b"1", b"3"))
    with pytest.raises(DataError, match="sha256 is"):
        source.check_file(file, tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["esr", "tcd_dwl"])
def test_shipped_files_are_what_was_published(name):
    assert source.verify(name)[0].endswith("as published")


def test_wrong_sum_keeps_the_file_that_is_there(catalog, tmp_path):
    (tmp_path / "y.bin").write_bytes(b"good")
    catalog(sha256="0" * 64)
    with pytest.raises(DataError, match="sha256 is"):
        source.fetch("x")
    assert [each.name for each in tmp_path.iterdir()] == ["y.bin"]


def test_list_tells_where_each_set_is(catalog, tmp_path):
    catalog()
    where = {row.name: row.where for row in source.list_datasets()}
    assert where["esr"] == "in the package"
    assert where["x"] == "emboscope data fetch x"
    assert where["ptb"] == "by hand"
    (tmp_path / "x.bin").touch()
    assert {row.name: row.where for row in source.list_datasets()}["x"] == str(tmp_path)
    assert set(where) == set(source.CATALOG)


@pytest.fixture
def records(tmp_path, monkeypatch, server):
    """A data set of WFDB records at the server, which counts what it is asked for."""
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    monkeypatch.delenv("EMBOSCOPE_DATA", raising=False)
    entry = Entry("R", "ODC-By", records="r", address=f"{address_of(server)}/records/")
    monkeypatch.setitem(source.CATALOG, "r", entry)
    server.asked.clear()
    server.changed.clear()
    return tmp_path / "r"


def test_records_are_fetched_with_their_list_and_sums(records, server):
    """Not what the list does not name; nothing twice."""
    assert source.fetch("r") == [records / "100.hea"]
    assert (records / "100.dat").read_bytes() == b"signal"
    assert not (records / "x").exists()
    assert sorted(server.asked) == ["100.atr", "100.dat", "100.hea", "RECORDS", "SHA256SUMS.txt"]
    source.fetch("r")
    assert len(server.asked) == 5
    (copy,) = source.copy_shipped("r", records.parent / "copy")
    assert (copy / "100.atr").read_bytes() == b"notes"
    assert source.verify("r") == ["r: 1 records, 3 files, as published"]


def test_a_record_that_came_changed_is_refused_and_the_fetch_goes_on_later(records, server):
    server.changed["100.dat"] = b"sagnil"
    with pytest.raises(DataError, match="sha256 is"):
        source.fetch("r")
    with pytest.raises(DataError, match="fetch the data first. Run: emboscope data fetch r"):
        source.find("r")
    server.changed.clear()
    server.asked.clear()
    source.fetch("r")
    assert server.asked == ["100.dat", "100.hea"]


def test_records_are_verified_by_their_sums_where_these_are(records):
    source.fetch("r")
    (records / "100.dat").write_bytes(b"sagnil")
    with pytest.raises(DataError, match="sha256 is"):
        source.verify("r")
    (records / "100.dat").unlink()
    with pytest.raises(DataError, match="100.dat is missing"):
        source.verify("r")
    (records / "SHA256SUMS.txt").unlink()
    assert source.verify("r") == ["r: 1 records, there; SHA256SUMS.txt is not"]


def test_records_are_listed_as_there_when_all_are(records):
    source.fetch("r")
    where = {row.name: row.where for row in source.list_datasets()}
    assert where["r"] == str(records)
    (records / "RECORDS").write_text("100\n101\n")
    assert {row.name: row.where for row in source.list_datasets()}["r"].endswith("fetch r")
    with pytest.raises(DataError, match="101 is missing, 1 of the 2"):
        source.find("r")

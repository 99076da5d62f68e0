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


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        cut = len(CONTENT) // 2 if self.path == "/cut" else len(CONTENT)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def catalog(tmp_path, monkeypatch, server):
    """One data set of one file at an address of the server; the cache folder is empty."""
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    monkeypatch.delenv("EMBOSCOPE_DATA", raising=False)

    def put(path="/ok", **sums):
        file = RemoteFile("x.bin", server + path, **sums)
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
    with pytest.raises(DataError, match="run: emboscope data fetch x"):
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
    with pytest.raises(DataError, match="download it with your Kaggle account"):
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

"""Where data sets lie: in the package, in a folder of the user's, or at their publisher's."""

import hashlib
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import platformdirs

from emboscope.errors import DataError, EmboscopeError
from emboscope.progress import Progress, silent
from emboscope.registry import Registry

CHUNK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Attributes
    ----------
    name : str
        File name in the data folder.
    url : str
        Empty where the user has to fetch it.
    md5, sha256 : str
        Published sums; those known are checked.
    size : int, optional
        Bytes.
    text : bool
        Whether a copy whose lines end in CR LF is the same file.
    """

    name: str
    url: str = ""
    md5: str = ""
    sha256: str = ""
    size: int | None = None
    text: bool = False


@dataclass(frozen=True)
class Entry:
    """A data set that the package knows of.

    Attributes
    ----------
    title, licence : str
    remote : tuple of RemoteFile
    shipped : str
        File in the package; nothing has to be fetched then.
    packed : str
        One file that holds all of it and is taken where it lies in the data folder.
    sha256 : str
        Of the shipped or packed file.
    by_hand : str
        What the user does where a download needs an account or a tool.
    """

    title: str
    licence: str
    remote: tuple[RemoteFile, ...] = ()
    shipped: str = ""
    packed: str = ""
    sha256: str = ""
    by_hand: str = ""


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_BONN = "https://www.ukbonn.de/site/assets/files/"
_KAGGLE = (
    "download it with your Kaggle account (shayanfazeli/heartbeat) and put the CSV files into the "
    "folder"
)
CATALOG: Registry[Entry] = Registry("data set")
CATALOG["esr"] = Entry(
    "Epileptic Seizure Recognition, EEG",
    "CC BY 4.0",
    shipped="esr.npz",
    sha256="84e674ba10411ec164b0eaab65f1cf67e6d6c4fd0a6dcd4de035f9c97a896a75",
)
CATALOG["tcd_dwl"] = Entry(
    "Transcranial Doppler with probe taps",
    "public domain",
    shipped="tcd_dwl_hits.npz",
    sha256="a920fb8ff348b5ef681c6b354c9946400c613670a025a8c3b3d1a2368fb32e69",
)
CATALOG["mnist"] = Entry(
    "MNIST, handwritten digits",
    "usually given as CC BY-SA 3.0",
    tuple(
        RemoteFile(f"{name}-ubyte.gz", f"{_MNIST}{name}-ubyte.gz", md5)
        for name, md5 in (
            ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c"),
        )
    ),
    packed="mnist.npz",
    sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
)
CATALOG["bonn"] = Entry(
    "Bonn EEG, the originals of esr",
    "see the publisher",
    tuple(
        RemoteFile(f"{name}.zip", f"{_BONN}{number}/{name}.zip")
        for number, name in ((21874, "z"), (21872, "o"), (21871, "n"), (21870, "f"), (21875, "s"))
    ),
)
CATALOG["ptb"] = Entry(
    "PTB heartbeats, ECG (Kaggle form)",
    "ODC-By 1.0",
    (
        RemoteFile(
            "ptbdb_normal.csv",
            sha256="033d355e76e9f65f692fa398c5b24e357d004fab328c97db5160591a2eafe48c",
            size=19_016_200,
            text=True,
        ),
        RemoteFile(
            "ptbdb_abnormal.csv",
            sha256="27b4a37cd6dbcede0900cde3df02291f21e7538085d54e6b33abb91f4a5cf912",
            size=49_378_200,
            text=True,
        ),
    ),
    by_hand=_KAGGLE,
)
CATALOG["mitbih"] = Entry(
    "MIT-BIH heartbeats, ECG (Kaggle form)",
    "ODC-By 1.0",
    (
        RemoteFile(
            "mitbih_train.csv",
            sha256="ae4c80504ad1d0be5c3f1b3c6ef02851e4d1b05d05805fce2a73374f083a700e",
            size=411_503_800,
            text=True,
        ),
        RemoteFile(
            "mitbih_test.csv",
            sha256="f3fdb3fd318275e653fac082b617d8c1ef09fca619a0606dc22c863451c77333",
            size=102_892_400,
            text=True,
        ),
    ),
    by_hand=_KAGGLE,
)
CATALOG["mitdb"] = Entry(
    "MIT-BIH arrhythmia, with patients (doi 10.13026/C2F305)",
    "ODC-By",
    by_hand="get the records of https://physionet.org/files/mitdb/1.0.0/ into the folder",
)
CATALOG["ptbdb"] = Entry(
    "PTB diagnostic ECG (doi 10.13026/C28C71)",
    "ODC-By",
    by_hand="get the records of https://physionet.org/files/ptbdb/1.0.0/ into the folder",
)
CATALOG["organc"] = Entry(
    "OrganCMNIST v3",
    "see the publisher",
    (
        RemoteFile(
            "organcmnist.npz",
            "https://zenodo.org/records/10519652/files/organcmnist.npz",
            "b9ceb9546e10131b32923c5bbeaea2b1",
        ),
    ),
)
CATALOG["organc_v2"] = Entry(
    "OrganCMNIST v2, the counts of the papers",
    "see the publisher",
    (
        RemoteFile(
            "organcmnist_v2.npz",
            "https://zenodo.org/record/6496656/files/organcmnist.npz",
            "0afa5834fb105f7705a7d93372119a21",
        ),
    ),
)


def cache_folder() -> Path:
    """Where fetched and simulated data are kept: EMBOSCOPE_CACHE, else the user's cache."""
    given = os.environ.get("EMBOSCOPE_CACHE")
    return Path(given) if given else Path(platformdirs.user_cache_dir("emboscope"))


def keep_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an NPZ aside, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez_compressed(aside, **arrays)  # type: ignore[arg-type]
    aside.replace(path)


def _folders() -> list[Path]:
    given = os.environ.get("EMBOSCOPE_DATA")
    return ([Path(given)] if given else []) + [cache_folder()]


def _shipped(entry: Entry) -> Path:
    return Path(str(files("emboscope.datasets").joinpath("files", entry.shipped)))


def located(name: str) -> list[Path]:
    """Files of a data set that are there; empty unless all are."""
    entry = CATALOG[name]
    if entry.shipped:
        return [_shipped(entry)]
    for folder in _folders():
        if entry.packed and (folder / entry.packed).is_file():
            return [folder / entry.packed]
        paths = [folder / each.name for each in entry.remote]
        if paths and all(path.is_file() for path in paths):
            return paths
    return []


def find(name: str, progress: Progress = silent) -> list[Path]:
    """Files of a data set.

    Raises
    ------
    DataError
        If they have to be fetched first; nothing is downloaded here.
    """
    paths = located(name)
    if not paths:
        entry = CATALOG[name]
        step = f"{entry.by_hand} {cache_folder()}" if entry.by_hand else (
            f"run: emboscope data fetch {name}"
        )  # fmt: skip
        raise DataError(f"data set '{name}': not on this machine. To get it, {step}.")
    return paths


def fetch(
    name: str, progress: Progress = silent, address: Callable[[str], str] = lambda url: url
) -> list[Path]:
    """Download what is missing of a data set into the cache folder.

    Parameters
    ----------
    name : str
    progress : callable
        Told kilobytes.
    address : callable
        Turns a published address into the one to use, for a mirror.

    Raises
    ------
    DataError
        If the user has to fetch it, or what came is not what was published.
    EmboscopeError
        If the network or the publisher does not answer.
    """
    if located(name):
        return located(name)
    entry = CATALOG[name]
    if entry.by_hand:
        return find(name)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for file in entry.remote:
        if not (folder / file.name).is_file():
            _download(file, folder / file.name, address(file.url), progress)
    return located(name)


def _download(file: RemoteFile, path: Path, url: str, progress: Progress) -> None:
    """Fetch one file to a name of its own, check it, and put it in its place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, aside.open("wb") as part:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(CHUNK):
                part.write(block)
                progress(file.name, part.tell() // 1000, total // 1000)
            part.flush()
            os.fsync(part.fileno())
        if total and aside.stat().st_size != total:
            raise DataError(
                f"'{file.name}': {aside.stat().st_size} of {total} bytes came. Fetch it again."
            )
        check_file(file, aside)
        aside.replace(path)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        code = f" {error.code}" if isinstance(error, urllib.error.HTTPError) else ""
        raise EmboscopeError(
            f"'{url}': no answer to use ({reason}{code}). Try later, or put {file.name} into "
            f"{path.parent} by hand."
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def check_file(file: RemoteFile, path: Path) -> None:
    """Compare a file with its published size and sums; of text, lines may end in CR LF.

    Raises
    ------
    DataError
        If one differs.
    """
    size, sums = _measure(path, file.text)
    if file.size is not None and size != file.size:
        raise DataError(f"'{path}': {size} bytes; expected {file.size}. Fetch it again.")
    for kind, expected in (("md5", file.md5), ("sha256", file.sha256)):
        if expected and sums[kind] != expected:
            raise DataError(
                f"'{path}': {kind} is {sums[kind]}; expected {expected}. Remove it and fetch again."
            )


def _measure(path: Path, text: bool) -> tuple[int, dict[str, str]]:
    """Size and sums of a file; of text, as if its lines ended in LF."""
    size, sums = 0, {kind: hashlib.new(kind, usedforsecurity=False) for kind in ("md5", "sha256")}
    with path.open("rb") as content:
        while block := content.read(CHUNK):
            part = block.replace(b"\r", b"") if text else block
            size += len(part)
            for each in sums.values():
                each.update(part)
    return size, {kind: each.hexdigest() for kind, each in sums.items()}


def verify(name: str) -> list[str]:
    """Check the files of a data set; a sentence for each.

    Raises
    ------
    DataError
        If it is not here, or not what was published.
    """
    entry = CATALOG[name]
    known = {file.name: file for file in entry.remote}
    for whole in (entry.shipped, entry.packed):
        known[whole] = RemoteFile(whole, sha256=entry.sha256)
    sentences = []
    for path in find(name):
        file = known[path.name]
        check_file(file, path)
        checked = "as published" if file.md5 or file.sha256 else "there; no sum was published"
        sentences.append(f"{path.name}: {path.stat().st_size} bytes, {checked}")
    return sentences


@dataclass(frozen=True)
class Listed:
    """A row of the list of data sets."""

    name: str
    title: str
    licence: str
    where: str  # in the package, a path, or how to get it


def list_datasets() -> list[Listed]:
    """All data sets that can be fetched or checked, and where they are."""
    rows = []
    for name, entry in CATALOG.items():
        paths = located(name)
        if entry.shipped:
            where = "in the package"
        elif paths:
            where = str(paths[0].parent)
        else:
            where = "by hand" if entry.by_hand else f"emboscope data fetch {name}"
        rows.append(Listed(name, entry.title, entry.licence, where))
    return rows


def copy_shipped(name: str, folder: Path) -> list[Path]:
    """Copy the files of a data set that is here into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, folder)) for path in find(name)]

"""Where data sets lie: in the package, in a folder of the user's, or at their publisher's."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from emboscope.datasets.catalog import CATALOG, Entry, RemoteFile
from emboscope.datasets.download import check_file, download
from emboscope.datasets.folders import cache_folder, data_folders
from emboscope.datasets.folders import keep_arrays as keep_arrays  # asked for by this name
from emboscope.datasets.records import (
    check_whole,
    fetch_records,
    missing_records,
    record_folder,
    record_names,
    verify_records,
)
from emboscope.errors import DataError
from emboscope.progress import Progress, silent


def _shipped(entry: Entry) -> Path:
    return Path(str(files("emboscope.datasets").joinpath("files", entry.shipped)))


def located(name: str) -> list[Path]:
    """Files of a data set that are there; empty unless all are."""
    entry = CATALOG[name]
    if entry.shipped:
        return [_shipped(entry)]
    if entry.records:
        return _record_headers(entry)
    for folder in data_folders():
        if entry.packed and (folder / entry.packed).is_file():
            return [folder / entry.packed]
        paths = [folder / each.name for each in entry.remote]
        if paths and all(path.is_file() for path in paths):
            return paths
    return []


def _record_headers(entry: Entry) -> list[Path]:
    """Headers of all records; empty unless all are there."""
    folder = record_folder(entry)
    if folder is None or missing_records(folder):
        return []
    return [folder / f"{name}.hea" for name in record_names(folder)]


def find(name: str, progress: Progress = silent) -> list[Path]:
    """Files of a data set.

    Raises
    ------
    DataError
        If they have to be fetched first; nothing is downloaded here.
    """
    paths = located(name)
    if not paths:
        if CATALOG[name].records:
            find_records(name)
        raise _absent(name)
    return paths


def find_records(name: str) -> Path:
    """Folder in which all records of a data set lie.

    Raises
    ------
    DataError
        If they have to be fetched first, or one is missing.
    """
    folder = record_folder(CATALOG[name])
    if folder is None:
        raise _absent(name)
    check_whole(folder)
    return folder


def _absent(name: str) -> DataError:
    """What to do about a data set that is not here."""
    entry, folder = CATALOG[name], data_folders()[0]
    step = entry.by_hand.format(folder=folder) or f"Run: emboscope data fetch {name}"
    if entry.records:
        step += f"; or put the records of {entry.address} into {folder / entry.records}"
    return DataError(f"data set '{name}': not on this machine; fetch the data first. {step}.")


def fetch(
    name: str, progress: Progress = silent, address: Callable[[str], str] = lambda url: url
) -> list[Path]:
    """Download what is missing of a data set into the cache folder.

    Records of which some lie in another folder are completed there.

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
    if entry.records:
        folder = record_folder(entry) or cache_folder() / entry.records
        fetch_records(entry, folder, address, progress)
        return located(name)
    if entry.by_hand:
        return find(name)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for file in entry.remote:
        if not (folder / file.name).is_file():
            download(file, folder / file.name, address(file.url), progress)
    return located(name)


def verify(name: str) -> list[str]:
    """Check the files of a data set; a sentence for each.

    Raises
    ------
    DataError
        If it is not here, or not what was published.
    """
    entry = CATALOG[name]
    if entry.records:
        return verify_records(find_records(name))
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
    if CATALOG[name].records:
        return [Path(shutil.copytree(find_records(name), folder, dirs_exist_ok=True))]
    return [Path(shutil.copy(path, folder)) for path in find(name)]

"""WFDB records of a data set: where they lie, whether all of them do, and how they are fetched."""

from collections.abc import Callable, Iterator
from pathlib import Path

from emboscope.datasets.catalog import Entry, RemoteFile
from emboscope.datasets.download import check_file, download
from emboscope.datasets.folders import data_folders
from emboscope.errors import DataError
from emboscope.progress import Progress, silent

LIST = "RECORDS"  # names of all records, one a line
SUMS = "SHA256SUMS.txt"  # sum and name of each file, one a line
SUFFIXES = (".hea", ".dat", ".atr")  # the rest is not read


def record_folder(entry: Entry) -> Path | None:
    """The first data folder in which records of a data set lie; None where there are none."""
    for folder in data_folders():
        if any((folder / entry.records).rglob("*.hea")):
            return folder / entry.records
    return None


def record_names(folder: Path) -> list[str]:
    """Records of a folder, without suffix: those that RECORDS lists, else those with a header."""
    if (folder / LIST).is_file():
        return (folder / LIST).read_text(encoding="utf-8").split()
    headers = sorted(folder.rglob("*.hea"))
    return [header.relative_to(folder).with_suffix("").as_posix() for header in headers]


def missing_records(folder: Path) -> list[str]:
    """Listed records whose header is not there."""
    return [name for name in record_names(folder) if not (folder / f"{name}.hea").is_file()]


def check_whole(folder: Path) -> None:
    """DataError unless all listed records are there."""
    missing = missing_records(folder)
    if missing:
        n = len(record_names(folder))
        raise DataError(
            f"records '{folder}': {missing[0]} is missing, {n - len(missing)} of the {n} in {LIST} "
            "are there; expected all. Fetch the data again: what is there stays."
        )


def fetch_records(
    entry: Entry, folder: Path, address: Callable[[str], str], progress: Progress
) -> None:
    """Download what is missing of the records into a folder, each file checked by its sum.

    First come the list of records and the publisher's sums, then the files, headers last, so that
    a record with a header is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SUMS, LIST):
        if not (folder / name).is_file():
            download(RemoteFile(name), folder / name, address(entry.address + name), progress)
    wanted = list(_published(folder))
    for done, file in enumerate(wanted, start=1):
        path = folder / file.name
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            download(file, path, address(entry.address + file.name), silent)
        progress("fetching files", done, len(wanted))


def verify_records(folder: Path) -> list[str]:
    """Compare the files of the records with the publisher's sums; a sentence.

    Raises
    ------
    DataError
        If a record is missing, or a file is not what was published.
    """
    check_whole(folder)
    names = record_names(folder)
    if not (folder / SUMS).is_file():
        return [f"{folder.name}: {len(names)} records, there; {SUMS} is not"]
    files = list(_published(folder))
    for file in files:
        if not (folder / file.name).is_file():
            raise DataError(f"records '{folder}': {file.name} is missing. Fetch them again.")
        check_file(file, folder / file.name)
    return [f"{folder.name}: {len(names)} records, {len(files)} files, as published"]


def _published(folder: Path) -> Iterator[RemoteFile]:
    """Files of the listed records with their sums, headers last."""
    names = set((folder / LIST).read_text(encoding="utf-8").split())
    lines = [line.split() for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    files = [(name.removeprefix("*"), sha256) for sha256, name in lines]
    for suffix in reversed(SUFFIXES):
        for name, sha256 in files:
            if name.endswith(suffix) and name.removesuffix(suffix) in names:
                yield RemoteFile(name, sha256=sha256)

"""Data sets: what is known, what is here, getting and checking them."""

from dataclasses import dataclass
from pathlib import Path

from emboscope.datasets.fetch import CATALOG, copy_shipped, fetch, located, verify
from emboscope.datasets.public import export_tcd
from emboscope.progress import Progress, silent

SIMULATED = {
    "hits": "HITS of simulated patients",
    "hits224": "the same with images of 224 × 96",
    "hits_sada": "a realistic stream of HITS of the same patients",
}


@dataclass(frozen=True)
class DataRow:
    """A data set in the list."""

    name: str
    title: str
    licence: str
    where: str


def list_data() -> list[DataRow]:
    """All data sets: simulated, shipped, and those to fetch."""
    rows = [
        DataRow(name, title, "BSD-3-Clause", "made when used") for name, title in SIMULATED.items()
    ]
    for name, entry in CATALOG.items():
        here = located(name)
        where = "in the package" if entry.shipped else str(here[0].parent) if here else "to fetch"
        rows.append(DataRow(name, entry.title, entry.licence, where))
    return rows


def fetch_data(name: str, out: Path | None, progress: Progress = silent) -> list[str]:
    """Get a data set; with `out`, its files there: WAV for tcd_dwl, copies for others."""
    paths = fetch(name, progress)
    if out is not None:
        paths = export_tcd(out) if name == "tcd_dwl" else copy_shipped(name, out)
    return [str(path) for path in paths]


def verify_data(name: str) -> list[str]:
    """Check the files of a data set; a sentence for each."""
    return verify(name)

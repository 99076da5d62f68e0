"""Data sets by name, and the user's own."""

from pathlib import Path

from emboscope.datasets import heartbeats, hits, hits_stream, public  # noqa: F401  (registered)
from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.datasets.own import OwnFile, load_own
from emboscope.progress import Progress, silent

__all__ = ["DATASETS", "Dataset", "OwnFile", "load_dataset"]


def load_dataset(
    name: str | Path, options: OwnFile | None = None, progress: Progress = silent
) -> Dataset:
    """A registered data set, or the user's own CSV, NPZ or HDF5 of HITS.

    Raises
    ------
    DataError
        If the file is missing or cannot be used, or a data set has to be fetched first.
    """
    if str(name) in DATASETS:
        return DATASETS[str(name)](progress)
    return load_own(Path(name), options or OwnFile(), progress)

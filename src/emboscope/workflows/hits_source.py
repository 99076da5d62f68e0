"""HITS of real patients in place of simulated ones: a study, or an HDF5 file."""

from pathlib import Path

import numpy as np

from emboscope.datasets.dataset import Dataset, own_name
from emboscope.datasets.hits import CLASSES, front_end, segments_dataset
from emboscope.datasets.hits_file import SUFFIXES, load_hits_file
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.store.folder import is_study
from emboscope.store.recordings import SEGMENTS
from emboscope.store.splits import TEST
from emboscope.store.study import Study


def hits_from(path: Path | str, progress: Progress = silent) -> Dataset:
    """HITS of a study folder, or of an HDF5 file with I, Q and patients.

    Views, classes and front end are those of the data set `hits`; groups are patients.

    Raises
    ------
    DataError
        If it is neither, or cannot be used.
    """
    path = Path(path)
    if is_study(path):
        return _hits_of_study(path, progress)
    if path.suffix.lower() in SUFFIXES:
        return load_hits_file(path, progress)
    raise DataError(
        f"data '{path}': no study folder and no {' or '.join(SUFFIXES)} file; expected one of "
        "these. Make a study: emboscope ingest STUDY RECORDING..."
    )


def _hits_of_study(path: Path, progress: Progress) -> Dataset:
    """Segments and labels of a study.

    A class is the label that holds: what people said, else what was computed. Soft labels are the
    shares of the people who labeled a sample, there as soon as anybody has; what was computed
    keeps its probabilities. The test subjects of the study are the fixed test part.
    """
    with Study.open(path) as study:
        samples = study.samples()
        if samples.ids.size == 0:
            raise DataError(f"study '{path}': no sample; expected some. Ingest recordings first.")
        _check_segments(study)
        segments = np.asarray(study.array(SEGMENTS, ids=samples.ids))
        labels = study.labels(classes=CLASSES)
        annotators, _ = study.votes()
    progress("reading HITS", samples.ids.size, samples.ids.size)
    if (labels.y < 0).all():
        raise DataError(f"study '{path}': no label; expected some. Label samples first.")
    test = np.unique(samples.subjects[samples.splits == TEST])
    return segments_dataset(
        own_name(path),
        segments,
        labels.y,
        samples.subjects,
        labels.soft if annotators else None,
        test if test.size else None,
    )


def _check_segments(study: Study) -> None:
    """DataError unless the segments were cut as the front end of `hits` cuts them."""
    wanted = front_end().model_dump(mode="json", exclude={"views"})
    newest = study.arrays(SEGMENTS)[-1].settings
    for name, value in wanted.items():
        if newest.get(name) != value:
            raise DataError(
                f"study '{study.path}': segments with {name} {newest.get(name)}; expected {value}, "
                "as of the data set hits. Ingest the recordings into a new study."
            )

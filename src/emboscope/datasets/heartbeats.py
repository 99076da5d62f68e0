"""Heartbeats of the electrocardiogram: PTB and MIT-BIH, as published and with their patients."""

import numpy as np

from emboscope.datasets.catalog import CATALOG
from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.datasets.download import check_file
from emboscope.datasets.fetch import find, find_records, located
from emboscope.datasets.heartbeat_records import (
    MITBIH_CLASSES,
    PTB_CLASSES,
    PTB_SFREQ,
    Beats,
    mitbih_beats,
    ptb_beats,
)
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd

MITBIH_SFREQ = 120.0  # every third sample of 360 Hz, though published as 125 Hz
RELEASED_SHARE = 0.8  # of each class of PTB that is trained on
RELEASED_SEED = 42


def load_ptb(progress: Progress = silent) -> Dataset:
    """PTB heartbeats, 187 samples at 125 Hz: normal or abnormal.

    As published in two CSV files [1]_, whose rows tell no patient, so that beats of one patient
    may stand on both sides of any split. The fixed test part is that of `released_ptb_split`.
    Without these files, what `load_ptbdb` makes of the records; `Dataset.name` tells which it is.

    References
    ----------
    .. [1] Kachuee, M., Fazeli, S., Sarrafzadeh, M. (2018). ECG heartbeat classification: a deep
       transferable representation. IEEE International Conference on Healthcare Informatics.
    """
    if not located("ptb") and located("ptbdb"):
        return load_ptbdb(progress)
    beats, _ = _published("ptb", progress)
    _, test = released_ptb_split(beats.y)
    return _dataset("ptb", beats, "row", PTB_CLASSES, PTB_SFREQ, beats.groups[test])


def load_mitbih(progress: Progress = silent) -> Dataset:
    """MIT-BIH heartbeats, 187 samples at 120 Hz: N, S, V, F, Q.

    As published in two CSV files [1]_, the second of which is the fixed test part; their rows tell
    no patient. Without these files, what `load_mitdb` makes of the records; `Dataset.name` tells
    which it is.

    References
    ----------
    .. [1] Kachuee, M., Fazeli, S., Sarrafzadeh, M. (2018). ECG heartbeat classification: a deep
       transferable representation. IEEE International Conference on Healthcare Informatics.
    """
    if not located("mitbih") and located("mitdb"):
        return load_mitdb(progress)
    beats, n_first = _published("mitbih", progress)
    test = beats.groups[n_first:]
    return _dataset("mitbih", beats, "row", MITBIH_CLASSES, MITBIH_SFREQ, test)


def load_ptbdb(progress: Progress = silent) -> Dataset:
    """PTB heartbeats cut out of the records, in groups of patients; see `ptb_beats`."""
    beats = ptb_beats(find_records("ptbdb"), progress)
    return _dataset("ptbdb", beats, "patient", PTB_CLASSES, PTB_SFREQ)


def load_mitdb(progress: Progress = silent) -> Dataset:
    """MIT-BIH heartbeats cut out of the records, in groups of patients; see `mitbih_beats`."""
    beats = mitbih_beats(find_records("mitdb"), progress)
    return _dataset("mitdb", beats, "patient", MITBIH_CLASSES, MITBIH_SFREQ)


def released_ptb_split(y: np.ndarray, seed: int = RELEASED_SEED) -> tuple[np.ndarray, np.ndarray]:
    """The split of the published figures on PTB: 80 % of each class, shuffled, to train on [1]_.

    Of the published rows 3,237 + 8,405 train and 809 + 2,101 test. The sizes are those that were
    published; which rows they are depends on a generator that was not, and is NumPy's here. Beats
    of one patient stand on both sides.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Classes.

    Returns
    -------
    train, test : ndarray of int64
        Rows, ascending.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2024). Guided deep
       embedded clustering regularization for multifeature medical signal classification.
       Pattern Recognition.
    """
    rng = np.random.default_rng(seed)
    train = []
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        train.append(rows[: round(RELEASED_SHARE * len(rows))])
    chosen = np.sort(np.concatenate(train))
    return chosen, np.setdiff1d(np.arange(len(y)), chosen)


def heartbeat_front_end(sfreq: float) -> FrontEnd:
    """Rows as they are, and their spectrogram of 32 × 39 as that of the EEG."""
    return FrontEnd(sfreq=sfreq, n_times=187)


def _published(name: str, progress: Progress) -> tuple[Beats, int]:
    """The beats in the CSV files of a data set, a group each, and how many the first file holds."""
    paths, tables = find(name), []
    for done, (file, path) in enumerate(zip(CATALOG[name].remote, paths, strict=True), start=1):
        check_file(file, path)
        tables.append(np.loadtxt(path, np.float32, delimiter=",", ndmin=2))
        progress("reading files", done, len(paths))
    table = np.concatenate(tables)
    beats = Beats(table[:, :-1], table[:, -1].astype(np.int64), np.arange(len(table)))
    return beats, len(tables[0])


def _dataset(
    name: str,
    beats: Beats,
    group_kind: str,
    classes: tuple[str, ...],
    sfreq: float,
    test_groups: np.ndarray | None = None,
) -> Dataset:
    chain = heartbeat_front_end(sfreq)
    return Dataset(
        name=name,
        views=chain.compute(beats.rows[:, None]),
        y=beats.y,
        groups=beats.groups,
        sfreq=sfreq,
        classes=classes,
        front_end=chain,
        group_kind=group_kind,
        test_groups=test_groups,
    )


DATASETS["ptb"] = load_ptb
DATASETS["mitbih"] = load_mitbih
DATASETS["ptbdb"] = load_ptbdb
DATASETS["mitdb"] = load_mitdb

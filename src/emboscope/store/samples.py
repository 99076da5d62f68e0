"""The samples that are labeled: a segment of an event of a recording each."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, select

from emboscope.store.tables import (
    FLAGS,
    MEASURES,
    events,
    recordings,
    samples,
    splits,
)


@dataclass(frozen=True)
class Samples:
    """The samples of a study, in the order of their ids.

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
    subjects, splits, recordings, verdicts : ndarray of str, shape (n,)
        Pseudonym of the patient, `train` or `test`, name of the recording, what the criteria say.
    peaks_s : ndarray, shape (n,)
        In the recording, in seconds.
    measures : dict of str to ndarray, shape (n,)
        `onset_s`, `duration_s`, `hbr_db`, `direction_db`, `frequency_hz`, `velocity_cm_s` (NaN
        without a carrier), `saturated`, `aliased`.
    """

    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    recordings: np.ndarray
    peaks_s: np.ndarray
    verdicts: np.ndarray
    measures: dict[str, np.ndarray]


def read_samples(connection: Connection) -> Samples:
    """All samples."""
    columns = [events.c[name] for name in (*MEASURES, *FLAGS)]
    joined = samples.join(events).join(recordings).join(splits)
    wanted = (samples.c.id, recordings.c.subject, splits.c.split, recordings.c.name)
    query = select(*wanted, events.c.verdict, *columns).select_from(joined).order_by(samples.c.id)
    rows = connection.execute(query).all()
    ids, subjects, parts, names, verdicts, *values = zip(*rows, strict=True) if rows else [()] * 14
    measures = {
        name: np.array(column, bool if name in FLAGS else np.float64)  # None becomes NaN
        for name, column in zip((*MEASURES, *FLAGS), values, strict=True)
    }
    return Samples(
        ids=np.array(ids, np.int64),
        subjects=np.array(subjects, str),
        splits=np.array(parts, str),
        recordings=np.array(names, str),
        peaks_s=measures.pop("peak_s"),
        verdicts=np.array(verdicts, str),
        measures=measures,
    )


def read_ids(connection: Connection) -> np.ndarray:
    """Ids of all samples, ascending, (n,)."""
    return np.array(
        connection.execute(select(samples.c.id).order_by(samples.c.id)).scalars().all(), np.int64
    )

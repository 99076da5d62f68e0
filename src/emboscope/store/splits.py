"""Which patients are the test part: drawn by a seed, once, and never changed."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sqlalchemy import Connection, insert, select

from emboscope.errors import SettingsError
from emboscope.store.database import now
from emboscope.store.tables import splits

TRAIN, TEST = "train", "test"


def draw_test(
    new: Sequence[str], old: Mapping[str, str], share: float, seed: int
) -> tuple[str, ...]:
    """So many of the new subjects that `share` of all is the test part; one is left to learn from.

    Old subjects stay where they are. The order in which the new ones are given does not matter.

    Parameters
    ----------
    new : sequence of str
        Subjects without a split.
    old : mapping of str to str
        Split of each subject that has one.
    share : float
        From 0 to below 1.
    seed : int

    Returns
    -------
    test : tuple of str
        In alphabetical order.

    Raises
    ------
    SettingsError
        If the share is none.
    """
    check_share(share)
    wanted = round(share * (len(new) + len(old))) - list(old.values()).count(TEST)
    count = min(max(wanted, 0), len(new) - (TRAIN not in old.values()))
    if count <= 0:
        return ()
    order = np.random.default_rng(seed).permutation(len(new))
    return tuple(sorted(np.array(sorted(new), str)[order[:count]].tolist()))


def check_share(share: float) -> None:
    """SettingsError unless a share leaves somebody to learn from."""
    if not 0 <= share < 1:
        raise SettingsError(f"--test-share {share:g}: expected 0 to below 1.")


def read_splits(connection: Connection) -> dict[str, str]:
    """Split of each subject, in alphabetical order."""
    rows = connection.execute(select(splits.c.subject, splits.c.split).order_by(splits.c.subject))
    return {row.subject: row.split for row in rows}


def add_splits(connection: Connection, new: Mapping[str, str], how: str) -> None:
    """Note the split of new subjects, and how it came about."""
    if new:
        made = now()
        rows = [
            {"subject": subject, "split": split, "how": how, "created": made}
            for subject, split in new.items()
        ]
        connection.execute(insert(splits), rows)


def assign(
    connection: Connection,
    subjects: Iterable[str],
    share: float,
    seed: int,
    chosen: Iterable[str] | None = None,
) -> dict[str, str]:
    """Split of all subjects; those that have none get one, by the seed or as they are chosen.

    Raises
    ------
    SettingsError
        If a chosen one has been a subject to learn from, or is none of the subjects.
    """
    old = read_splits(connection)
    new = sorted(set(subjects) - set(old))
    test = None if chosen is None else sorted(set(chosen))
    for each in test or ():
        if old.get(each) == TRAIN:
            raise SettingsError(
                f"--test-subjects: {each} has been one to learn from; expected new subjects. "
                "A split is never changed: make another study."
            )
        if each not in new and each not in old:
            raise SettingsError(
                f"--test-subjects: {each} is no subject of the recordings; expected some of "
                f"{', '.join(new) or 'none new'}."
            )
    how = f"share {share:g}, seed {seed}" if test is None else "chosen"
    part = draw_test(new, old, share, seed) if test is None else test
    drawn = {each: TEST if each in part else TRAIN for each in new}
    add_splits(connection, drawn, how)
    return old | drawn

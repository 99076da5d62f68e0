"""Detected events against a reference, file by file."""

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.events.scoring import Score, bootstrap_interval, period_kappa, score_times
from emboscope.workflows.event_file import JudgedTime, parse_part
from emboscope.workflows.files import read_events_csv, read_json, read_truth

OTHER_TOLERANCES_MS = (25.0, 100.0)


@dataclass(frozen=True)
class ScoreRow:
    """Figures of one recording, or of all together.

    Attributes
    ----------
    name : str
    score : Score
    doubtful : int
        Events that the criteria left open.
    kappa : float
        Of the periods of one second with an embolus (van Zuilen 1996).
    others : tuple of (tolerance_ms, Score)
        At other tolerances.
    not_evaluable : int
        Reference emboli in stretches that could not be judged; they are not scored.
    """

    name: str
    score: Score
    doubtful: int
    kappa: float
    others: tuple[tuple[float, Score], ...] = ()
    not_evaluable: int = 0

    def as_dict(self) -> dict:
        """Plain figures, for JSON."""
        return {
            "name": self.name,
            "hits": self.score.hits,
            "misses": self.score.misses,
            "false": self.score.false,
            "doubtful": self.doubtful,
            "not_evaluable": self.not_evaluable,
            "evaluable_h": self.score.evaluable_h,
            "sensitivity": self.score.sensitivity,
            "ppv": self.score.ppv,
            "f1": self.score.f1,
            "false_per_hour": self.score.false_per_hour,
            "kappa_1s": self.kappa,
            "by_tolerance": [
                {"tolerance_ms": ms, "sensitivity": score.sensitivity, "ppv": score.ppv}
                for ms, score in self.others
            ],
            "by_ebr_band": [
                {"low_db": low, "high_db": high, "found": found, "total": total}
                for low, high, found, total in self.score.by_band
            ],
        }


@dataclass(frozen=True)
class ScoreResult:
    """A row a recording, the total, and intervals by drawing recordings anew."""

    rows: tuple[ScoreRow, ...]
    total: ScoreRow
    tolerance_ms: float
    intervals: dict[str, tuple[float, float]]


def score(events: Path, reference: Path, tolerance_ms: float = 50.0) -> ScoreResult:
    """Score NAME.events.csv against NAME.json, or two folders of them, paired by name.

    An event counts when its verdict is embolus (its label wins where a model gave one); doubtful
    ones are counted apart.

    Raises
    ------
    DataError
        If a file has no partner, or cannot be read.
    SettingsError
        If the tolerance is not positive.
    """
    if not tolerance_ms > 0:
        raise SettingsError(f"--tolerance-ms {tolerance_ms}: expected a positive number.")
    rows = [
        _score_one(name, found, truth, tolerance_ms / 1000)
        for name, found, truth in _pairs(events, reference)
    ]
    scores = [row.score for row in rows]
    others = tuple(
        (ms, sum((row.others[k][1] for row in rows[1:]), start=rows[0].others[k][1]))
        for k, ms in enumerate(OTHER_TOLERANCES_MS)
    )
    total = ScoreRow(
        "all",
        sum(scores[1:], start=scores[0]),
        sum(row.doubtful for row in rows),
        float("nan"),
        others,
        sum(row.not_evaluable for row in rows),
    )
    intervals = {
        name: bootstrap_interval(scores, attrgetter(name))
        for name in ("sensitivity", "ppv", "f1", "false_per_hour")
    }
    return ScoreResult(tuple(rows), total, tolerance_ms, intervals)


def _pairs(events: Path, reference: Path) -> list[tuple[str, Path, Path]]:
    missing = [path for path in (events, reference) if not path.exists()]
    if missing:
        raise DataError(f"'{missing[0]}': no such file or folder. Check the path.")
    if events.is_dir() != reference.is_dir():
        raise DataError(
            f"'{events}' and '{reference}': one is a folder and one is not; expected two files "
            "or two folders."
        )
    if not events.is_dir():
        return [(events.name.removesuffix(".events.csv"), events, reference)]
    found = {p.name.removesuffix(".events.csv"): p for p in events.glob("*.events.csv")}
    truths = {
        p.stem: p
        for p in reference.iterdir()
        if p.suffix.lower().startswith((".json", ".tx")) and not p.name.endswith(".events.json")
    }
    alone = sorted(set(found) ^ set(truths))
    if alone or not found:
        what = f"'{alone[0]}' has no partner" if alone else "no NAME.events.csv in it"
        raise DataError(f"'{events}' and '{reference}': {what}. Pair the files by name.")
    return [(name, found[name], truths[name]) for name in sorted(found)]


def _score_one(name: str, found: Path, truth: Path, tolerance_s: float) -> ScoreRow:
    events = read_events_csv(found)
    beside = found.with_name(found.name.removesuffix(".csv") + ".json")
    details = parse_part(JudgedTime, read_json(beside), name)
    emboli = [each for each in read_truth(truth) if each.label not in {"artifact", "unknown"}]
    judged = [each for each in emboli if not _unusable(each.peak_s, details)]
    found_s = np.array([event.peak_s for event in events if event.is_embolus])
    true_s = np.array([each.peak_s for each in judged])
    ebr_db = np.array([each.ebr_db for each in judged])
    hours = details.evaluable_hours

    def at(seconds: float) -> Score:
        return score_times(found_s, true_s, hours, seconds, ebr_db)

    return ScoreRow(
        name,
        at(tolerance_s),
        sum(event.verdict == "doubtful" for event in events),
        period_kappa(found_s, true_s, details.duration_s),
        tuple((ms, at(ms / 1000)) for ms in OTHER_TOLERANCES_MS),
        len(emboli) - len(judged),
    )


def _unusable(peak_s: float, details: JudgedTime) -> bool:
    """Whether an event lies in a stretch that could not be judged."""
    return any(start <= peak_s <= stop for start, stop, _ in details.unusable or ())

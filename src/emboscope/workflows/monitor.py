"""Recordings, cut HITS or studies in; events with classes, reports and labels out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emboscope.datasets.hits_file import is_hits_file
from emboscope.errors import DataError, SettingsError
from emboscope.progress import Progress, silent
from emboscope.store.folder import is_study
from emboscope.workflows.classes import ClassOptions, Judge, load_judge
from emboscope.workflows.extras import Extras
from emboscope.workflows.files import prepare_folder
from emboscope.workflows.monitor_cuts import (
    Cuts,
    CutsRow,
    cuts_of_file,
    cuts_of_recordings,
    monitor_cuts,
)
from emboscope.workflows.monitor_study import StudyRow, monitor_study
from emboscope.workflows.scan import (
    ScanOptions,
    ScanResult,
    ScanRow,
    Workers,
    check_judged,
    check_options,
    detection_settings,
    expand,
    scan,
)

__all__ = [
    "ClassOptions", "Extras", "MonitorOptions", "MonitorResult", "ScanOptions", "Workers",
    "check_found", "detection_settings", "monitor",
]  # fmt: skip


@dataclass(frozen=True)
class MonitorOptions:
    """What the user says.

    Attributes
    ----------
    scan : ScanOptions
        How recordings are read and searched, and by which model (`classes`).
    cut : bool
        Recordings are cut HITS, one a file, the peak in the middle: nothing is searched.
    workers : Workers
    pseudonyms : Path, optional
        Key file; see `scan`.
    """

    scan: ScanOptions = field(default_factory=ScanOptions)
    cut: bool = False
    workers: Workers = field(default_factory=Workers)
    pseudonyms: Path | None = None


@dataclass(frozen=True)
class MonitorResult:
    """A row a recording, a file or folder of HITS, and a study.

    Attributes
    ----------
    model : dict
        By which the events were named; `trained_on` must be told.
    recordings, hits, studies : tuple
    times_real_time : float
        Seconds of signal a second; NaN without recordings.
    """

    model: dict[str, object]
    recordings: tuple[ScanRow, ...] = ()
    hits: tuple[CutsRow, ...] = ()
    studies: tuple[StudyRow, ...] = ()
    times_real_time: float = float("nan")


def monitor(
    given: Sequence[Path],
    out: Path | None,
    options: MonitorOptions,
    progress: Progress = silent,
) -> MonitorResult:
    """Find events and name them by a model.

    Parameters
    ----------
    given : sequence of Path
        Recordings or folders of them; HDF5 files of HITS; studies.
    out : Path, optional
        Folder for what is written; a study alone needs none.
    options : MonitorOptions
    progress : callable

    Raises
    ------
    DataError
        If the model, a file or a study cannot be used, or two files have one name.
    SettingsError
        If an option cannot be.
    """
    check_options(options.scan)
    classes = options.scan.classes or ClassOptions()
    searched = replace(options.scan, classes=classes)
    judge = load_judge(classes)
    result = MonitorResult(judge.note)
    studies = [path for path in given if is_study(path)]
    others = [path for path in given if not is_study(path)]
    if others and out is None:
        raise SettingsError("--out: missing; expected a folder for the results. Pass one.")
    if others and out is not None:
        files = _Files.of(others, options.cut)
        if files.tables and options.pseudonyms:
            raise SettingsError(
                "--pseudonyms: of recordings alone; cut HITS keep their names. Leave it out."
            )
        prepare_folder(out)
        rows = tuple(
            monitor_cuts(
                _cuts(table, judge, searched, progress), judge, out, searched.extras, progress
            )
            for table in files.tables
        )
        result = replace(result, hits=rows)
        if files.recordings:
            workers, key = options.workers, options.pseudonyms
            found = scan(files.recordings, out, searched, progress, workers, key)
            speed = found.times_real_time
            result = replace(result, recordings=found.rows, times_real_time=speed)
    named = tuple(monitor_study(path, judge, progress) for path in studies)
    return replace(result, studies=named)


def check_found(result: MonitorResult) -> None:
    """Refuse a result in which no recording could be judged; see `scan.check_judged`."""
    if result.recordings:
        check_judged(ScanResult(result.recordings, result.times_real_time))


@dataclass(frozen=True)
class _Table:
    """Files whose HITS make one table: one HDF5 file, or the short recordings of a folder."""

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class _Files:
    """What is to be searched, and what is cut already."""

    recordings: tuple[Path, ...]
    tables: tuple[_Table, ...]

    @classmethod
    def of(cls, given: Sequence[Path], cut: bool) -> "_Files":
        """DataError where two tables would have one name."""
        paths = [path for each in given for path in expand([each])] if cut else expand(given)
        hits = [path for path in paths if is_hits_file(path)]
        rest = [path for path in paths if path not in hits]
        tables = [_Table(path.stem, (path,)) for path in hits]
        if cut:
            folders = dict.fromkeys(path.resolve().parent for path in rest)
            for folder in folders:
                inside = tuple(path for path in rest if path.resolve().parent == folder)
                tables.append(_Table(folder.name, inside))
            rest = []
        names = Counter(table.name for table in tables)
        twice = [name for name, n in names.items() if n > 1]
        if twice:
            raise DataError(
                f"hits: two tables would be named '{twice[0]}'; expected one. Rename one, or take "
                "them one after the other."
            )
        return cls(tuple(rest), tuple(tables))


def _cuts(table: _Table, judge: Judge, options: ScanOptions, progress: Progress) -> Cuts:
    """The segments of a table."""
    if is_hits_file(table.paths[0]):
        return cuts_of_file(table.paths[0], judge, progress)
    return cuts_of_recordings(table.paths, table.name, judge, options)

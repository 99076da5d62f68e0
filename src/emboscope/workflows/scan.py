"""Recordings in, events out: one after the other, on several cores, or on a cluster."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from emboscope.errors import DataError, SettingsError
from emboscope.events.detection import DETECTORS
from emboscope.events.settings import DetectionSettings
from emboscope.events.stream import WHY_NOTHING
from emboscope.progress import Progress, silent
from emboscope.settings import with_changes
from emboscope.signal.doppler import FLOW_SIDES
from emboscope.signal.privacy import load_key, pseudonym
from emboscope.signal.readers import READERS
from emboscope.workflows.classes import check_carrier, load_judge
from emboscope.workflows.extras import Extras, check_extras
from emboscope.workflows.files import prepare_folder
from emboscope.workflows.one_scan import ScanOptions, ScanRow, open_for, scan_recording

__all__ = [
    "Extras", "ScanOptions", "ScanResult", "ScanRow", "Workers", "check_judged",
    "detection_settings", "scan",
]  # fmt: skip


def detection_settings(threshold_db: float | None, changes: tuple[str, ...]) -> DetectionSettings:
    """Defaults, then the threshold, then each key=value; groups as in `criteria.maximum_s`.

    Raises
    ------
    SettingsError
        For an unknown key, with the nearest known one, or a value out of range.
    """
    values: dict[str, object] = {} if threshold_db is None else {"threshold_db": threshold_db}
    values = with_changes(values, changes, "criteria.maximum_s=0.2")
    return DetectionSettings.parse(values, "scan")


OURS = (".events.csv", ".hits.csv", ".annotations.edf")  # what we wrote is no recording


@dataclass(frozen=True)
class ScanResult:
    """A row a recording, and the speed in seconds of signal a second."""

    rows: tuple[ScanRow, ...]
    times_real_time: float


@dataclass(frozen=True)
class Workers:
    """Who scans: this process, several (`jobs`), or the workers of a Dask scheduler."""

    jobs: int = 1
    backend: str = "local"
    scheduler: str | None = None

    def context(self) -> AbstractContextManager:
        """What joblib needs around its tasks.

        Raises
        ------
        SettingsError
            For an unknown backend, or Dask without its extra or its scheduler.
        """
        if self.backend == "local":
            return nullcontext()
        if self.backend != "dask":
            raise SettingsError(f"--backend '{self.backend}': unknown; expected local or dask.")
        return _dask(self.scheduler)


@contextmanager
def _dask(scheduler: str | None) -> Iterator[None]:
    """joblib's tasks on a Dask cluster."""
    from joblib import parallel_config

    if scheduler is None:
        raise SettingsError("--backend dask: no scheduler. Pass --scheduler tcp://HOST:PORT.")
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise SettingsError(
            '--backend dask: not installed. Run: pip install "emboscope[dask]"'
        ) from error
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise SettingsError(f"--scheduler '{scheduler}': no answer. Is it running?") from error
    with client, parallel_config(backend="dask"):
        yield


def check_options(options: ScanOptions) -> None:
    """SettingsError if an option cannot be, before anything is read or written."""
    if options.flow is not None and options.flow not in FLOW_SIDES:
        raise SettingsError(f"--flow '{options.flow}': unknown; expected towards or away.")
    DETECTORS[options.detector]
    check_extras(options.extras)


def scan(
    recordings: Sequence[Path],
    out: Path,
    options: ScanOptions,
    progress: Progress = silent,
    workers: Workers | None = None,
    pseudonyms: Path | None = None,
) -> ScanResult:
    """Find events in recordings and write NAME.events.csv and NAME.events.json.

    All recordings are opened before the first is scanned, so that a wrong path costs no time.
    A scan that was stopped goes on where it was, when the same call is repeated.

    Parameters
    ----------
    workers : Workers, optional
        This process alone by default.
    pseudonyms : Path, optional
        File with the key that turns names of files into pseudonyms; made where it is missing.

    Raises
    ------
    DataError
        If a recording cannot be used, or two have the same stem.
    SettingsError
        If an option cannot be.
    """
    check_options(options)
    paths = expand(recordings)
    judge = load_judge(options.classes) if options.classes else None
    for path in paths:
        source = open_for(path, options)
        if judge and options.classes:
            check_carrier(judge, path, source, options.classes.force)
    key = load_key(pseudonyms) if pseudonyms else None
    names = [pseudonym(path.stem, key) if key else path.stem for path in paths]
    prepare_folder(out)
    started = time.perf_counter()
    rows = list(_scan_all(paths, names, out, options, progress, workers or Workers()))
    seconds = max(time.perf_counter() - started, 1e-9)
    return ScanResult(tuple(rows), sum(row.duration_s for row in rows) / seconds)


def check_judged(result: ScanResult) -> None:
    """Refuse a result in which no recording could be judged at all.

    Raises
    ------
    DataError
        With what the recordings lack; their files are written none the less.
    """
    if any(row.evaluable_s > 0 for row in result.rows):
        return
    flags = {flag for row in result.rows for flag in row.flags}
    why = ", ".join(sorted(flags & set(WHY_NOTHING.values()))) or "no signal"
    which = f"recording '{result.rows[0].name}'" if len(result.rows) == 1 else "all recordings"
    raise DataError(
        f"{which}: nothing could be judged ({why}). Give the I/Q signal of a Doppler device, "
        "over a vessel."
    )


def _scan_all(
    paths: list[Path],
    names: list[str],
    out: Path,
    options: ScanOptions,
    progress: Progress,
    workers: Workers,
) -> Iterable[ScanRow]:
    """Rows in the order of the recordings, as they are done."""
    if workers.jobs == 1 and workers.backend == "local":
        for path, name in zip(paths, names, strict=True):
            yield scan_recording(path, name, out, options, progress)
        return
    from joblib import Parallel, delayed

    with workers.context():
        n_jobs = workers.jobs if workers.backend == "local" else -1
        tasks = (
            delayed(scan_recording)(path.resolve(), name, out.resolve(), options, silent)
            for path, name in zip(paths, names, strict=True)
        )
        for done, row in enumerate(Parallel(n_jobs=n_jobs, return_as="generator")(tasks), 1):
            progress("scanning recordings", done, len(paths))
            yield row


def expand(recordings: Sequence[Path]) -> list[Path]:
    """The recordings meant: a folder stands for the readable files in it, but sidecars."""
    paths: list[Path] = []
    for given in recordings:
        if not given.is_dir():
            paths.append(given)
            continue
        inside = sorted(
            path
            for path in given.iterdir()
            if path.suffix.lower() in READERS
            and not path.name.endswith(OURS)
            and not path.name.startswith(".")
        )
        if not inside:
            raise DataError(
                f"folder '{given}': no recording in it; expected {', '.join(READERS)}. "
                "Name the files."
            )
        paths += inside
    stems = Counter(path.stem for path in paths)
    twice = [stem for stem, n in stems.items() if n > 1]
    if twice:
        raise DataError(
            f"recordings: two are named '{twice[0]}'; the results would overwrite each other. "
            "Rename one or scan them into two folders."
        )
    return paths

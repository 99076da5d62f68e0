"""Run a study: measure each cell that is not stored yet, then write its tables."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from emboscope.errors import EmboscopeError, SettingsError
from emboscope.learning.compute import set_threads
from emboscope.progress import Progress, silent
from emboscope.workflows.cells import CELLS
from emboscope.workflows.files import (
    FORMAT_VERSION,
    plain_dict,
    prepare_folder,
    versions,
    write_json,
)
from emboscope.workflows.scan import Workers
from emboscope.workflows.simplexes import draw_simplexes
from emboscope.workflows.table_figures import Table, check_columns, collect, read_cell
from emboscope.workflows.table_files import cells_of, notes_of, write_tables
from emboscope.workflows.tables import Study, TableSettings, Task, read_study

__all__ = ["RunOptions", "StudyResult", "Workers", "cells_of", "check_failures", "notes_of",
           "run_study", "summary"]  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """How a study is run.

    Attributes
    ----------
    quick : bool
        The fewer repeats that the study names; tables go to `quick/`.
    force : bool
        Measure again what is stored.
    only : tuple of str
        Names of tables; all without.
    seed : int
        Of the first repeat.
    threads : int, optional
        Of each worker; the cores shared out without.
    data : Path, optional
        A study or an HDF5 of HITS, in place of simulated patients; its tables go to a folder of
        their own.
    """

    quick: bool = False
    force: bool = False
    only: tuple[str, ...] = ()
    seed: int = 0
    threads: int | None = None
    data: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A cell that failed, and why."""

    table: str
    row: str
    seed: int
    error: str


@dataclass(frozen=True)
class StudyResult:
    """Tables, how many cells were measured now and found, and those that failed."""

    title: str
    folder: str
    tables: tuple[Table, ...]
    n_measured: int
    n_stored: int
    failures: tuple[Failure, ...]


def run_study(
    path: Path,
    options: RunOptions | None = None,
    progress: Progress = silent,
    workers: Workers | None = None,
) -> StudyResult:
    """Measure what a study lacks and write its tables.

    All of the file is checked first. Each cell is stored as soon as it is done, so that a run
    that was stopped goes on when it is repeated. A cell that fails does not stop the others.

    Parameters
    ----------
    path : Path
        The TOML file; results go to `results/NAME/` beside it.
    options : RunOptions, optional
    workers : Workers, optional
        This process alone by default.

    Raises
    ------
    SettingsError
        If the study or an option cannot be.
    DataError
        If a stored cell cannot be read; then nothing is measured.
    """
    options, workers = options or RunOptions(), workers or Workers()
    study = read_study(path, options.data)
    chosen = _chosen(study, options.only)
    threads = _threads(options.threads, workers)
    wanted = _wanted(study, chosen, options)
    prepare_folder(study.results)
    lacking = []
    for task in wanted:
        stored = _cell_path(study.results, task)
        if options.force or not stored.is_file():
            lacking.append(task)
        else:
            read_cell(stored)
    by_name = {table.name: table for table in chosen}
    failures = []
    progress("measuring cells", 0, len(lacking))
    for done, (task, outcome) in enumerate(_measure_all(lacking, threads, workers, progress), 1):
        if isinstance(outcome, str):
            failures.append(Failure(task.table, task.row, task.seed, outcome))
        else:
            write_json(_cell_path(study.results, task), outcome)
            check_columns(by_name[task.table], outcome["numbers"])
        progress("measuring cells", done, len(lacking))
    tables = collect(study, options.quick, options.seed)
    folder = study.results / "quick" if options.quick else study.results
    write_tables(folder, study, tables, _command(path, options))
    draw_simplexes(study, folder, [*by_name], bool(lacking), options.quick, options.seed, progress)
    shown = tuple(table for table in tables if table.name in by_name)
    n_stored = len(wanted) - len(lacking)
    return StudyResult(
        study.settings.title, str(folder), shown, len(lacking) - len(failures), n_stored,
        tuple(failures),
    )  # fmt: skip


def check_failures(result: StudyResult) -> None:
    """Refuse a result with cells that failed.

    Raises
    ------
    EmboscopeError
        It counts them and gives the reason of the first.
    """
    if result.failures:
        first = result.failures[0]
        raise EmboscopeError(
            f"study: {len(result.failures)} cells failed, the first in table '{first.table}', row "
            f"'{first.row}', seed {first.seed}: {first.error} Mend that and repeat the command."
        )


def summary(result: StudyResult) -> dict:
    """A result as plain values, for JSON."""
    content = plain_dict(result)
    for table, plain in zip(result.tables, content["tables"], strict=True):
        plain["columns"] = [column.model_dump() for column in table.columns]
    return content


def measure(task: Task, threads: int, progress: Progress = silent) -> dict | str:
    """Content of the file of a cell, or why it failed.

    Parameters
    ----------
    threads : int
        To compute with.
    """
    set_threads(threads)
    started = time.perf_counter()
    try:
        numbers = dict(CELLS[task.cell].measure(task.settings, task.seed, progress))
        infinite = [name for name, value in numbers.items() if math.isinf(value)]
    except EmboscopeError as error:
        return str(error)
    except Exception as error:  # whatever it is, the other cells go on
        return f"{type(error).__name__}: {error}."
    if infinite:
        return f"'{infinite[0]}' is infinite; expected a number or NaN."
    return {
        "format_version": FORMAT_VERSION,
        "cell": task.cell,
        "cell_version": CELLS[task.cell].version,
        "parameters": task.settings.model_dump(mode="json"),
        "seed": task.seed,
        "numbers": {name: float(value) for name, value in numbers.items()},
        "seconds": round(time.perf_counter() - started, 3),
        "threads": threads,
        "versions": {**versions(), **{name: version(name) for name in ("scikit-learn", "torch")}},
    }


def _chosen(study: Study, only: Sequence[str]) -> list[TableSettings]:
    """The tables to run."""
    names = [table.name for table in study.settings.tables]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise SettingsError(
            f"--only {unknown[0]}: no such table; expected {', '.join(names)}. Choose one."
        )
    return [table for table in study.settings.tables if not only or table.name in only]


def _threads(threads: int | None, workers: Workers) -> int:
    """Threads of each worker; workers × threads never exceed the cores."""
    cores = os.cpu_count() or 1
    if workers.backend != "local":
        return threads or 1
    threads = threads or max(1, cores // workers.jobs)
    if workers.jobs > 1 and threads * workers.jobs > cores:
        raise SettingsError(
            f"--jobs {workers.jobs}: with {threads} threads each on {cores} cores; expected no "
            "more than the cores. Lower --jobs or --threads."
        )
    return threads


def _wanted(study: Study, tables: Sequence[TableSettings], options: RunOptions) -> list[Task]:
    """All cells of the tables, each once, first repeats first."""
    tasks = [
        task
        for table in tables
        for row in table.rows
        for task in study.tasks(table, row, options.quick, options.seed)
    ]
    once: dict[str, Task] = {}
    for task in tasks:
        once.setdefault(task.key, task)
    return sorted(once.values(), key=lambda task: task.seed)  # a stable sort


def _measure_all(
    tasks: Sequence[Task], threads: int, workers: Workers, progress: Progress
) -> Iterable[tuple[Task, dict | str]]:
    """Outcomes as they are done, here or by workers."""
    if workers.jobs == 1 and workers.backend == "local":
        return _one_by_one(tasks, threads, progress)
    return _by_workers(tasks, threads, workers)


def _one_by_one(
    tasks: Sequence[Task], threads: int, progress: Progress
) -> Iterator[tuple[Task, dict | str]]:
    for number, task in enumerate(tasks, 1):
        yield task, measure(task, threads, _labeled(progress, number, len(tasks)))


def _by_workers(
    tasks: Sequence[Task], threads: int, workers: Workers
) -> Iterator[tuple[Task, dict | str]]:
    from joblib import Parallel, delayed

    with workers.context():
        n_jobs = workers.jobs if workers.backend == "local" else -1
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_paired)(task, threads) for task in tasks)


def _paired(task: Task, threads: int) -> tuple[Task, dict | str]:
    return task, measure(task, threads)


def _labeled(progress: Progress, number: int, total: int) -> Progress:
    """Progress that names the cell."""
    return lambda what, done, n: progress(f"cell {number}/{total} {what}", done, n)


def _cell_path(folder: Path, task: Task) -> Path:
    return folder / f"{task.key}.json"


def _command(path: Path, options: RunOptions) -> str:
    """What makes the same tables again."""
    quick = " --quick" if options.quick else ""
    seed = f" --seed {options.seed}" if options.seed else ""
    return f"emboscope run studies/{path.name}{quick}{seed}"

"""From stored cells to the figures of a table: mean, SD, interval, and what was published."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.statistics import CORRECTED_T, corrected_t
from emboscope.workflows.cells import is_simulated
from emboscope.workflows.files import read_json
from emboscope.workflows.tables import Column, RowSettings, Study, TableSettings

PLAIN_T = "t over repeats"


@dataclass(frozen=True)
class Figure:
    """One column of one row, in the unit of the column.

    Attributes
    ----------
    mean, sd : float
        Over the repeats; NaN where one of them could not be measured. SD with n − 1; NaN of one
        repeat.
    interval : tuple of float
        Of the mean, 95 %; NaN of one repeat.
    values : tuple of float
        One a repeat.
    published : tuple of float, or None
        Mean and SD; NaN where no SD was published.
    """

    mean: float
    sd: float
    interval: tuple[float, float]
    values: tuple[float, ...]
    published: tuple[float, float] | None

    @property
    def median(self) -> float:
        """Over the repeats; NaN where one of them could not be measured."""
        return float(np.median(self.values))

    @property
    def difference(self) -> float:
        """Mean less the published one; NaN without."""
        return self.mean - self.published[0] if self.published else math.nan


@dataclass(frozen=True)
class TableRow:
    """One row that was measured, as often as `seeds` tells.

    Attributes
    ----------
    label, note : str
    simulated : bool
        Whether its data are simulated.
    seeds : tuple of int
        Those of the stored repeats.
    wanted : int
        Repeats that the study asks for.
    seconds : float
        Median of a repeat; NaN without.
    figures : dict of column to Figure
        Empty where nothing is stored.
    """

    label: str
    note: str
    simulated: bool
    seeds: tuple[int, ...]
    wanted: int
    seconds: float
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Table:
    """A table with its figures.

    Attributes
    ----------
    name, title, note, source : str
        `source` is where the published figures stand.
    method : str
        How intervals were found.
    columns : tuple of Column
    rows : tuple of TableRow
    versions : tuple of str
        All under which its cells were measured, as `numpy 2.4.0`.
    threads : tuple of int
        The same of thread counts.
    """

    name: str
    title: str
    note: str
    source: str
    method: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    versions: tuple[str, ...]
    threads: tuple[int, ...]


def collect(study: Study, quick: bool = False, seed: int = 0) -> tuple[Table, ...]:
    """All tables of a study, of what is stored.

    Raises
    ------
    SettingsError
        If a column is none of the numbers of its cell.
    DataError
        If a stored cell cannot be read.
    """
    return tuple(_table(study, table, quick, seed) for table in study.settings.tables)


def read_cell(path: Path) -> dict:
    """A stored cell.

    Raises
    ------
    DataError
        If it cannot be read, or something is missing in it.
    """
    try:
        cell = read_json(path)
        lost = {"numbers", "versions", "threads", "seed", "seconds"} - set(cell)
    except DataError as error:
        raise DataError(f"cell {error} Delete it and repeat the command.") from error
    if lost:
        raise DataError(
            f"cell '{path}': no {min(lost)} in it; expected what emboscope run writes. Delete it "
            "and repeat the command."
        )
    return cell


def check_columns(table: TableSettings, numbers: Mapping[str, object]) -> None:
    """Refuse a column that the cell does not give."""
    lost = [column.name for column in table.columns if column.name not in numbers]
    if lost:
        raise SettingsError(
            f"table '{table.name}': column '{lost[0]}' is no number of the cell '{table.cell}'; "
            f"expected {', '.join(numbers)}. Mend columns; what an "
            "older version measured without it is measured again with --force."
        )


def _table(study: Study, table: TableSettings, quick: bool, seed: int) -> Table:
    versions: dict[str, None] = {}
    threads: set[int] = set()
    rows = []
    for row in table.rows:
        tasks = study.tasks(table, row, quick, seed)
        paths = [study.results / f"{task.key}.json" for task in tasks]
        stored = [read_cell(path) for path in paths if path.is_file()]
        for cell in stored:
            check_columns(table, cell["numbers"])
            versions |= dict.fromkeys(f"{k} {v}" for k, v in cell["versions"].items())
            threads.add(int(cell["threads"]))
        simulated = is_simulated(study.parameters[table.name, row.label])
        rows.append(_row(table, row, stored, len(tasks), simulated))
    return Table(
        name=table.name,
        title=table.title or table.name,
        note=table.note,
        source=table.published_source,
        method=PLAIN_T if table.test_share is None else CORRECTED_T,
        columns=table.columns,
        rows=tuple(rows),
        versions=tuple(versions),
        threads=tuple(sorted(threads)),
    )


def _row(
    table: TableSettings, row: RowSettings, stored: list[dict], wanted: int, simulated: bool
) -> TableRow:
    figures = {
        column.name: _figure(
            column, [cell["numbers"][column.name] for cell in stored], row, table.test_share or 0
        )
        for column in table.columns
        if stored
    }
    return TableRow(
        label=row.label,
        note=row.note,
        simulated=simulated,
        seeds=tuple(int(cell["seed"]) for cell in stored),
        wanted=wanted,
        seconds=float(np.median([cell["seconds"] for cell in stored])) if stored else math.nan,
        figures=figures,
    )


def _figure(
    column: Column, numbers: list[float | None], row: RowSettings, test_share: float
) -> Figure:
    values = np.array([math.nan if n is None else n for n in numbers]) * column.scale
    published = _published(row.published.get(column.name))
    plain = tuple(float(value) for value in values)
    if len(values) < 2:
        return Figure(plain[0], math.nan, (math.nan, math.nan), plain, published)
    estimate = corrected_t(values, test_share)
    sd = float(values.std(ddof=1))
    return Figure(estimate.mean, sd, estimate.interval, plain, published)


def _published(given: float | tuple[float, ...] | None) -> tuple[float, float] | None:
    """Mean and SD."""
    if given is None:
        return None
    if isinstance(given, float):
        return given, math.nan
    return given[0], given[1] if len(given) > 1 else math.nan

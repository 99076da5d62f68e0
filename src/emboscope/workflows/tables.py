"""A study as a file: tables of rows, each row a measurement that is repeated."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from emboscope.errors import DataError, SettingsError
from emboscope.settings import Settings, read_toml
from emboscope.workflows import (  # noqa: F401  (registered)
    annotation_cells,
    classification_cells,
    compression_cells,
    model_cells,
    propagated_cells,
    query_cells,
    soft_cells,
    toy_cells,
)
from emboscope.workflows.cell_names import check_names
from emboscope.workflows.cells import CELLS, is_simulated

_OWN_FOLDS = 5  # of patients of one's own, where a study simulates some in each repeat
_OWN_NOTE = "Folds of patients; what is said above of cohorts holds for simulated ones."
_NAME = r"^[A-Za-z0-9_-]+$"  # names of files


class Column(Settings):
    """One number of a cell, and how it is shown."""

    name: str
    title: str = ""  # the name, without
    unit: str = "%"  # numbers × 100; any other unit is shown as it is
    digits: NonNegativeInt = 2
    median: bool = False  # shown beside the mean

    @property
    def scale(self) -> float:
        """What the number of a cell is multiplied by."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def head(self) -> str:
        """Title with unit."""
        return f"{self.title or self.name.replace('_', ' ')}{self.unit and f', {self.unit}'}"


class RowSettings(Settings):
    """One row; all keys of the file that are not named here are parameters of its cell."""

    label: str
    published: dict[str, tuple[float, float] | tuple[float] | float] = Field(
        default_factory=dict
    )  # by column: mean, SD
    repeats: PositiveInt | None = None
    quick_repeats: NonNegativeInt | None = None
    note: str = ""
    parameters: dict[str, object] = Field(default_factory=dict)


class TableSettings(Settings):
    """One table of a study."""

    name: str = Field(pattern=_NAME)
    title: str = ""
    note: str = ""
    cell: str
    columns: tuple[Column, ...] = Field(min_length=1)
    repeats: PositiveInt = 10
    quick_repeats: NonNegativeInt = 1  # 0: left out of a quick run
    shared: dict[str, object] = Field(default_factory=dict)  # parameters of all rows
    rows: tuple[RowSettings, ...] = Field(min_length=1)
    published_source: str = ""
    test_share: PositiveFloat | None = None  # n_test/n_train of folds, whose training parts overlap

    @field_validator("columns", mode="before")
    @classmethod
    def _names_alone(cls, value: object) -> object:
        """A column may be its name alone."""
        if not isinstance(value, list):
            return value
        return [{"name": each} if isinstance(each, str) else each for each in value]

    @field_validator("rows", mode="before")
    @classmethod
    def _parameters_apart(cls, value: object) -> object:
        """Keys of a row that are not ours go to its cell."""
        own = set(RowSettings.model_fields) - {"parameters"}
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            return value
        return [
            {key: each for key, each in row.items() if key in own}
            | {"parameters": {key: each for key, each in row.items() if key not in own}}
            for row in value
        ]

    def repeats_of(self, row: RowSettings, quick: bool) -> int:
        """How often a row is measured."""
        if not quick:
            return row.repeats or self.repeats
        few = self.quick_repeats if row.quick_repeats is None else row.quick_repeats
        return min(few, row.repeats or self.repeats)


class FigureSettings(Settings):
    """A picture of rows: one column against another."""

    name: str = Field(pattern=_NAME)
    title: str = ""  # the name, without
    tables: tuple[str, ...] = Field(min_length=1)
    x: str  # a column that each of the tables has
    y: str = "mcc"
    area: str | None = None  # a column of numbers above 0; None: marks are alike
    log_x: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are drawn."""
        return (self.x, self.y, *((self.area,) if self.area else ()))


class SimplexSettings(Settings):
    """A picture of the soft labels that rows learn from, in a triangle."""

    name: str = Field(pattern=_NAME)
    tables: tuple[str, ...] = Field(min_length=1)  # each has rows of soft labels


class StudySettings(Settings):
    """What a study file holds."""

    title: str
    description: str = ""
    tables: tuple[TableSettings, ...] = Field(min_length=1)
    figures: tuple[FigureSettings, ...] = ()
    simplexes: tuple[SimplexSettings, ...] = ()


@dataclass(frozen=True)
class Task:
    """One measurement: a row with a seed.

    Attributes
    ----------
    table, row : str
        Where it is shown.
    cell : str
        Name in `CELLS`.
    settings : Settings
        Parsed parameters, all of them.
    seed : int
    """

    table: str
    row: str
    cell: str
    settings: Settings
    seed: int

    @property
    def key(self) -> str:
        """Hash of all that the numbers depend on; tables share what is the same."""
        content = [
            self.cell, CELLS[self.cell].version, self.settings.model_dump(mode="json"), self.seed
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Study:
    """A study file that was read and checked.

    Attributes
    ----------
    path : Path
    settings : StudySettings
    parameters : dict of (table, row) to Settings
        Of each row, parsed by its cell.
    data : Path, optional
        What stands in for simulated patients.
    """

    path: Path
    settings: StudySettings
    parameters: Mapping[tuple[str, str], Settings]
    data: Path | None = None

    @property
    def results(self) -> Path:
        """Folder of cells and tables; one of its own for each data of the user's."""
        own = f"-{self.data.stem}" if self.data else ""
        return self.path.parent / "results" / f"{self.path.stem}{own}"

    def tasks(
        self, table: TableSettings, row: RowSettings, quick: bool = False, seed: int = 0
    ) -> list[Task]:
        """The repeats of a row; repeat r has the seed `seed` + r."""
        settings = self.parameters[table.name, row.label]
        return [
            Task(table.name, row.label, table.cell, settings, seed + repeat)
            for repeat in range(table.repeats_of(row, quick))
        ]


def read_study(path: Path, data: Path | None = None) -> Study:
    """Read a study and check all of it, before anything runs.

    Parameters
    ----------
    path : Path
    data : Path, optional
        A study folder or an HDF5 of HITS, in place of the simulated patients of every row; a row
        with a new cohort in each repeat then has folds of patients.

    Raises
    ------
    SettingsError
        For an unknown cell, parameter, or entry of a registry, with the nearest known one;
        for a name that stands twice;
        for a published figure of a column that the table lacks; for a picture of a table or a
        column that is not there.
    """
    content = read_toml(path)
    if "tables" in content:
        content["tables"] = _parsed_tables(content["tables"], path.name)
    settings = StudySettings.parse(content, f"study '{path.name}'")
    _check_once([table.name for table in settings.tables], f"study '{path.name}'", "table")
    _check_figures(settings, path.name)
    if data is not None:
        settings = _cohorts_as_folds(settings)
    parameters = {}
    for table in settings.tables:
        where = f"study '{path.name}': {table.name}"
        cell = CELLS[table.cell]
        _check_once([row.label for row in table.rows], where, "row")
        for row in table.rows:
            _check_published(table, row, where)
            values = {**table.shared, **row.parameters}
            parsed = _parsed(cell.settings, values, f"{where}: {row.label}")
            if data is not None and is_simulated(parsed):
                parsed = _on_own(parsed, data)
            parameters[table.name, row.label] = parsed
    _check_simplexes(settings, parameters, path.name)
    if data is not None:
        _check_replaced(parameters.values(), data, path.name)
    return Study(path, settings, parameters, data)


def _parsed(kind: type[Settings], values: Mapping[str, object], where: str) -> Settings:
    """Parameters of a row, with every name in them looked up."""
    parsed = kind.parse(values, where)
    try:
        check_names(parsed)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
    return parsed


def _cohorts_as_folds(settings: StudySettings) -> StudySettings:
    """The study for data of one's own: five folds of patients where cohorts would be simulated."""
    tables = []
    for table in settings.tables:
        asked = [table.shared.get("split"), *(row.parameters.get("split") for row in table.rows)]
        if model_cells.COHORT in asked:
            note = f"{_OWN_NOTE} {table.note}".strip()
            told = {"test_share": 1 / (_OWN_FOLDS - 1), "note": note}
            table = table.model_copy(update=told)
        tables.append(table)
    return settings.model_copy(update={"tables": tuple(tables)})


def _on_own(row: Settings, data: Path) -> Settings:
    """A row on data of one's own; its patients are split in folds where others are simulated."""
    changed: dict[str, object] = {"data": str(data.resolve())}
    if getattr(row, "split", None) == model_cells.COHORT:
        changed |= {"split": None, "folds": _OWN_FOLDS}
    return row.model_copy(update=changed)


def _check_replaced(parameters: Iterable[Settings], data: Path, study: str) -> None:
    """Refuse data that no row asks for, or that is not there."""
    if not data.exists():
        raise DataError(f"data '{data}': not found; expected a study or an HDF5. Check the path.")
    if not any(getattr(each, "data", "") == str(data.resolve()) for each in parameters):
        raise SettingsError(
            f"study '{study}': no row on simulated patients; expected one whose place {data} could "
            "take. Leave --data out."
        )


def _parsed_tables(tables: object, study: str) -> object:
    """Each table by itself, so that a mistake in it is told with its name."""
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        return tables
    return [
        TableSettings.parse(each, f"study '{study}': {each.get('name', f'table {number}')}")
        for number, each in enumerate(tables, 1)
    ]


def _check_once(names: list[str], where: str, what: str) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SettingsError(f"{where}: two {what}s '{twice[0]}'; expected one. Rename one.")


def _check_figures(settings: StudySettings, study: str) -> None:
    """Refuse a figure that stands twice, or of a table or a column that is not there."""
    where = f"study '{study}'"
    simplexes = [simplex.name for simplex in settings.simplexes]
    _check_once([figure.name for figure in settings.figures] + simplexes, where, "figure")
    columns = {table.name: [each.name for each in table.columns] for table in settings.tables}
    for figure in settings.figures:
        for table in figure.tables:
            if table not in columns:
                raise SettingsError(
                    f"{where}: figure '{figure.name}': no table '{table}'; expected "
                    f"{', '.join(columns)}. Mend tables of the figure."
                )
            lost = [name for name in figure.columns if name not in columns[table]]
            if lost:
                raise SettingsError(
                    f"{where}: figure '{figure.name}': table '{table}' has no column '{lost[0]}'; "
                    f"expected {', '.join(columns[table])}. Add it to columns."
                )


def _check_simplexes(
    settings: StudySettings, parameters: Mapping[tuple[str, str], Settings], study: str
) -> None:
    """Refuse a simplex of a table that is not there, or without a row of soft labels."""
    soft = {table for (table, _), row in parameters.items() if _learns_soft(row)}
    for simplex in settings.simplexes:
        lost = [name for name in simplex.tables if name not in soft]
        if lost:
            raise SettingsError(
                f"study '{study}': simplex '{simplex.name}': '{lost[0]}' is no table with a row of "
                f"labels = 'soft'; expected {', '.join(sorted(soft)) or 'one'}. Mend its tables."
            )


def _learns_soft(row: Settings) -> bool:
    return getattr(row, "labels", "hard") == "soft"


def _check_published(table: TableSettings, row: RowSettings, where: str) -> None:
    names = [column.name for column in table.columns]
    lost = [name for name in row.published if name not in names]
    if lost:
        raise SettingsError(
            f"{where}: {row.label}: published '{lost[0]}' is no column; expected "
            f"{', '.join(names)}. Add it to columns."
        )

"""Pictures of the soft labels that rows of a study learn from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emboscope.errors import EmboscopeError
from emboscope.progress import Progress, silent
from emboscope.report.simplex_figure import N_CORNERS, Cloud, simplex_figure
from emboscope.workflows.cells import is_simulated
from emboscope.workflows.files import write_bytes
from emboscope.workflows.model_cells import ModelSettings, fold_of, loaded, training_labels
from emboscope.workflows.tables import Study, Task


def draw_simplexes(
    study: Study,
    folder: Path,
    tables: Sequence[str],
    again: bool,
    quick: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Path]:
    """Draw each simplex of the tables that is not there yet; the paths of those that were drawn.

    Parameters
    ----------
    study : Study
    folder : Path
        Where `NAME.png` is written.
    tables : sequence of str
        Names of those that were run.
    again : bool
        Draw those that are there, too.
    quick, seed
        Of the run; of each row the labels of its first repeat are drawn.
    """
    pictures = {
        folder / f"{each.name}.png": each.tables
        for each in study.settings.simplexes
        if set(each.tables) & set(tables)
    }
    wanted = {path: of for path, of in pictures.items() if again or not path.is_file()}
    drawn = []
    for done, (path, of_tables) in enumerate(wanted.items()):
        progress("drawing labels", done, len(wanted))
        tasks = [
            task
            for table in study.settings.tables
            if table.name in of_tables
            for row in table.rows
            for task in study.tasks(table, row, quick, seed)[:1]
        ]
        picture = _picture(tasks)
        if picture:
            write_bytes(path, picture)
            drawn.append(path)
    return drawn


def _picture(tasks: Sequence[Task]) -> bytes:
    """One triangle for each data set and share of wrong labels; empty where there is none."""
    chosen: dict[tuple[str, float], tuple[ModelSettings, int]] = {}
    for task in tasks:
        row = task.settings
        if isinstance(row, ModelSettings) and row.labels == "soft":
            chosen.setdefault((row.data, row.noise), (row, task.seed))
    clouds: list[Cloud] = []
    classes: tuple[str, ...] = ()
    for settings, seed in chosen.values():
        try:
            data = loaded(settings, seed)
            fold = fold_of(data, settings, seed)
            rows = np.concatenate([fold.train, fold.validation])
            shares, kept = training_labels(data, rows, settings, seed)
        except EmboscopeError:
            continue  # the cells have told of it
        if len(data.classes) == N_CORNERS:
            clouds.append(Cloud(_title(settings), shares[kept], data.y[rows][kept]))
            classes = data.classes
    return simplex_figure(clouds, classes) if clouds else b""


def _title(settings: ModelSettings) -> str:
    name = f"{Path(settings.data).stem}{' (simulated)' if is_simulated(settings) else ''}"
    return f"{name}, {100 * settings.noise:g} % wrong" if settings.noise else name

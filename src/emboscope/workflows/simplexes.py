"""Pictures of the soft labels that rows of a study learn from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emboscope.progress import Progress, silent
from emboscope.report.simplex_figure import N_CORNERS, Cloud, simplex_figure
from emboscope.workflows.cells import is_simulated
from emboscope.workflows.files import write_bytes
from emboscope.workflows.model_cells import ModelSettings, fold_of, loaded, training_labels
from emboscope.workflows.tables import Study


def draw_simplexes(
    study: Study, folder: Path, tables: Sequence[str], again: bool, progress: Progress = silent
) -> list[Path]:
    """Draw each simplex of the tables that is not there yet; the paths of those that were drawn.

    Parameters
    ----------
    study : Study
    folder : Path
        Where `NAME.png` is written.
    tables : sequence of str
        Names of the tables that were run.
    again : bool
        Draw those that are there, too.
    """
    wanted = {
        folder / f"{simplex.name}.png": simplex.tables
        for simplex in study.settings.simplexes
        if set(simplex.tables) & set(tables)
    }
    wanted = {path: of for path, of in wanted.items() if again or not path.is_file()}
    drawn = []
    for done, (path, of_tables) in enumerate(wanted.items()):
        progress("drawing labels", done, len(wanted))
        picture = _picture(study, of_tables)
        if picture:
            write_bytes(path, picture)
            drawn.append(path)
    return drawn


def _picture(study: Study, tables: Sequence[str]) -> bytes:
    """One triangle for each data set and share of wrong labels; empty where there is none."""
    chosen: dict[tuple[str, float], ModelSettings] = {}
    for (of_table, _), row in study.parameters.items():
        if of_table in tables and isinstance(row, ModelSettings) and row.labels == "soft":
            chosen.setdefault((row.data, row.noise), row)
    clouds: list[Cloud] = []
    classes: tuple[str, ...] = ()
    for settings in chosen.values():
        data = loaded(settings)
        if data.soft_labels is None or len(data.classes) != N_CORNERS:
            continue  # the cells have told of the former
        fold = fold_of(data, settings, 0)
        rows = np.concatenate([fold.train, fold.validation])
        shares, _ = training_labels(data, rows, settings, 0)
        clouds.append(Cloud(_title(settings), shares, data.y[rows]))
        classes = data.classes
    return simplex_figure(clouds, classes) if clouds else b""


def _title(settings: ModelSettings) -> str:
    name = f"{Path(settings.data).stem}{' (simulated)' if is_simulated(settings) else ''}"
    return f"{name}, {100 * settings.noise:g} % wrong" if settings.noise else name

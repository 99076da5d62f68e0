"""Train one model a fold into a RUN folder; the same command goes on where it was stopped."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.datasets.dataset import Dataset
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import Fold, folds
from emboscope.learning.devices import check_device
from emboscope.progress import Progress, silent
from emboscope.settings import write_toml
from emboscope.workflows.files import (
    FORMAT_VERSION,
    NOTICE,
    prepare_folder,
    read_json,
    versions,
    write_json,
    write_text,
)
from emboscope.workflows.fold_models import FoldJob, kind_of
from emboscope.workflows.run_settings import RunSettings


@dataclass(frozen=True)
class TrainResult:
    """What a run holds.

    Attributes
    ----------
    run : str
    validation_mcc : tuple of float
        Of the validation part of each fold.
    not_augmented : bool
        Whether augmentation was left out, because a view would not follow the waveform.
    """

    run: str
    validation_mcc: tuple[float, ...]
    not_augmented: bool


def train(
    data: Dataset,
    run: Path,
    settings: RunSettings,
    force: bool = False,
    progress: Progress = silent,
) -> TrainResult:
    """Train a model on each fold, and write it into the run folder.

    Parameters
    ----------
    data : Dataset
    run : Path
        A new folder, or that of the same request, which then goes on.
    settings : RunSettings
    force : bool
        Delete a run that is there.

    Raises
    ------
    SettingsError
        If the folder holds another or a finished run, or the split does not fit the data.
    """
    kind = kind_of(settings.model)
    _check_split(data, settings.split)
    check_device(settings.device, settings.training)
    parts = run_folds(data, settings)
    if force and (run / "run.json").is_file():
        shutil.rmtree(run)
    request = _request(data, settings)
    claim(run, request)
    for index, fold in enumerate(parts):
        folder = fold_folder(run, index)
        if not (folder / kind.file).is_file():
            job = FoldJob(data, fold, folder, settings)
            kind.fit(job, labelled(progress, index, len(parts)))
    lines = [
        {"fold": index, **entry}
        for index in range(len(parts))
        for entry in kind.history(fold_folder(run, index))
    ]
    write_text(run / "metrics.jsonl", "".join(f"{json.dumps(each)}\n" for each in lines))
    write_toml(run / "settings.toml", settings)
    write_json(run / "run.json", {**request, "finished": True})
    last = {entry["fold"]: entry["validation_mcc"] for entry in lines}
    scores = tuple(float(value) for value in last.values())
    return TrainResult(str(run), scores, kind.left_out(fold_folder(run, 0)))


def run_folds(data: Dataset, settings: RunSettings) -> list[Fold]:
    """The folds of a run; the same whenever they are asked for."""
    return folds(data.y, data.groups, settings.split, settings.folds, seed=0)


def fold_folder(run: Path, index: int) -> Path:
    """Where the model of a fold lies."""
    return run / f"fold-{index:02d}"


def read_run(run: Path) -> tuple[RunSettings, dict]:
    """Settings and request of a finished run.

    Raises
    ------
    SettingsError
        If it is not finished.
    """
    request = read_json(run / "run.json")
    if not request.get("finished"):
        raise SettingsError(f"run '{run}': not finished. Repeat the training command to go on.")
    return RunSettings.parse(request["settings"], f"run '{run}'"), request


def data_hash(data: Dataset, views: Collection[str]) -> str:
    """Hash of some views, classes and groups."""
    digest = hashlib.sha256()
    for name in sorted(views):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(data.views[name]).data)
    digest.update(np.ascontiguousarray(data.y).data)
    digest.update(np.asarray(data.groups).astype(str).tobytes())
    return digest.hexdigest()[:16]


def _check_split(data: Dataset, split: str) -> None:
    """Whole patients or recordings, as the data can; rows only when asked for by name."""
    if split not in {data.group_kind, "row"}:
        raise SettingsError(
            f"--split {split}: data set '{data.name}' has no {split}s; expected "
            f"{data.group_kind} or row."
        )


def _request(data: Dataset, settings: RunSettings) -> dict:
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "data": data.name,
        "data_hash": data_hash(data, data.views),
        "views": sorted(data.views),
        "classes": list(data.classes),
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "finished": False,
    }


_DECIDING = ("data_hash", "settings", "versions", "threads", "source", "compression", "models")


def same_data(run: Path, data: Dataset | None, request: dict) -> Dataset:
    """The data of a run; refused where it was trained on other, or none is named.

    Views that came to it since, as pictures put beside a file, make no other data of it.

    Raises
    ------
    DataError
    """
    if data is None:
        raise nameless(run, request)
    views = request.get("views", data.views)  # all, where the run does not name them
    if not set(views) <= set(data.views) or data_hash(data, views) != request["data_hash"]:
        raise DataError(f"run '{run}': trained on other data than this. Name the same data set.")
    return data


def nameless(run: Path, request: dict) -> DataError:
    """That the data of a run has to be named."""
    return DataError(f"run '{run}': trained on the file '{request['data']}'. Name it with --on.")


def claim(run: Path, request: dict, again: str = "Pass --force to train it again.") -> None:
    """Take a new folder, or one in which no fold was begun, or go on in one of the same request.

    Parameters
    ----------
    run : Path
    request : dict
        What decides the models, for `run.json`.
    again : str
        What to do with a run that is finished.

    Raises
    ------
    SettingsError
        If the folder holds anything else.
    """
    path = run / "run.json"
    if not path.is_file():
        if run.is_dir() and any(run.iterdir()):
            raise SettingsError(f"run '{run}': the folder is not empty. Choose another.")
        prepare_folder(run)
        write_json(path, request)
        return
    found = read_json(path)
    if found.get("finished"):
        raise SettingsError(f"run '{run}': finished already. {again}")
    changed = [key for key in _DECIDING if found.get(key) != request.get(key)]
    begun = any(run.glob("fold-*/*"))
    if begun and changed == ["models"]:
        raise SettingsError(
            f"run '{run}': begun with models that were trained anew since. Choose another folder."
        )
    if begun and changed:
        raise SettingsError(
            f"run '{run}': begun with other {changed[0]}. Repeat the same command to go on, or "
            "choose another folder."
        )
    if changed:
        write_json(path, request)


def labelled(progress: Progress, index: int, n_folds: int) -> Progress:
    """Progress that names the fold."""
    return lambda what, done, total: progress(f"fold {index + 1}/{n_folds} {what}", done, total)

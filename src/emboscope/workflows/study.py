"""What the commands on models share: data by name, settings from file and line, folds of a run."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emboscope.compression.finetune import CompressSettings, check_teacher
from emboscope.datasets import OwnFile, load_dataset
from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import Fold
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.compute import set_threads
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.profiles import ECG, EEG, published_settings
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import merged, read_toml, with_changes
from emboscope.store.folder import is_study
from emboscope.workflows.cell_names import check_names
from emboscope.workflows.compress import compress_model
from emboscope.workflows.deploy import (
    N_CALIBRATING,
    About,
    Evidence,
    Form,
    check_targets,
    deploy_model,
    tell_origin,
)
from emboscope.workflows.evaluate import drawn_weights, evaluate, latent_picture
from emboscope.workflows.files import read_json, write_json
from emboscope.workflows.fold_models import check_network
from emboscope.workflows.hits_source import hits_from
from emboscope.workflows.profiled_data import in_profile, with_views
from emboscope.workflows.train import (
    RunSettings,
    claim,
    fold_folder,
    labelled,
    nameless,
    read_run,
    run_folds,
    same_data,
    train,
)

__all__ = [
    "compress_run", "compress_settings", "drawn_weights", "evaluate", "export_data",
    "export_fold", "export_form", "latent_picture", "load",
    "run_data", "run_settings", "run_views", "set_threads", "train",
]  # fmt: skip

_FILES = {"onnx": "model.onnx", "c": "model.c"}  # of a target
Own = tuple[float | None, str | None, str | None]


def load(
    name: str,
    sfreq: float | None,
    label_column: str | None,
    group_column: str | None,
    progress: Progress = silent,
) -> Dataset:
    """A data set by its name, a file by its path, or the HITS of a study folder."""
    if name not in DATASETS and is_study(Path(name)):
        return hits_from(name, progress)
    return load_dataset(name, OwnFile(sfreq, label_column, group_column), progress)


def run_data(run: Path, on: str | None, own: Own, progress: Progress = silent) -> Dataset | None:
    """The data of a run; None where stored figures make it needless."""
    settings, request = read_run(run)
    name = on or request["data"]
    if on is None and name not in DATASETS:
        if (run / "metrics.json").is_file():
            return None
        raise nameless(run, request)
    return run_views(load(name, *own, progress), settings)


def run_views(data: Dataset, settings: RunSettings) -> Dataset:
    """The data as a run reads it: in its profile, with the further views that it names."""
    return with_views(in_profile(data, settings.profile), settings.views)


def run_settings(
    path: Path | None,
    changes: tuple[str, ...],
    options: dict[str, object],
    data: Dataset,
) -> RunSettings:
    """Defaults, or those of a published profile, then the file, the options, each key=value.

    Changes are `epochs=30`, `loss=gce`, `regularizers.dec=0.1`, `members=["resnet", "vit"]`.

    Parameters
    ----------
    path : Path, optional
    changes : tuple of str
        key=value of the training or the network, which may be named (`training.epochs=30`), with a
        dot for a group within; of further views `views.NAME.kind=KIND`, an entry of
        `REPRESENTATIONS`.
    options : dict
        Of `RunSettings`; they go before the file, unless they are None. `profile` chooses the
        published settings of `model`.
    data : Dataset
        Its groups are the split otherwise; the EEG was published with settings of its own.

    Raises
    ------
    SettingsError
        For an unknown key, with the nearest known one.
    """
    given = {name: value for name, value in options.items() if value is not None}
    values: dict[str, object] = {**(read_toml(path) if path else {}), **given}
    values = {"model": RunSettings().model, "split": data.group_kind, **values}
    training, network = _published(values, data.name)
    groups: dict[str, object] = {
        "views": _group(values, "views"),
        "training": merged(training, _group(values, "training")),
        "network": merged(network, _group(values, "network")),
    }
    groups = with_changes(groups, [_in_group(each) for each in changes], "epochs=30")
    parts = {
        "views": _group(groups, "views"),
        "training": TrainSettings.parse(_group(groups, "training"), "training"),
        "network": NetworkSettings.parse(_group(groups, "network"), "network"),
    }
    return RunSettings.parse({**values, **parts}, "settings")


def _published(values: dict[str, object], data: str) -> tuple[dict[str, object], dict[str, object]]:
    """Training and network settings of the profile, as plain values; empty for the defaults."""
    profile = values.get("profile", "corrected")
    if profile not in {"paper", "released"}:
        return {}, {}
    signal = EEG if data == "esr" else ECG
    network, training = published_settings(str(values["model"]), signal, profile)
    return training.model_dump(mode="json"), network.model_dump(mode="json")


def _in_group(change: str) -> str:
    """A change with the group that its setting belongs to, where it does not name one."""
    name = change.partition("=")[0].partition(".")[0]
    if name in {"views", "training", "network"}:
        return change
    return f"{'network' if name in NetworkSettings.model_fields else 'training'}.{change}"


def _group(values: dict[str, object], name: str) -> dict[str, object]:
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"settings.{name}: expected a table [{name}].")
    return found


def compress_settings(method: str | None, changes: tuple[str, ...]) -> CompressSettings:
    """Defaults, a method, then each key=value: of the quantizer, of another group, or of none.

    Raises
    ------
    SettingsError
        For an unknown key or method.
    """
    named = [each if _has_group(each) else f"quantizer.{each}" for each in changes]
    values = with_changes({} if method is None else {"method": method}, named, "t_max=1.5")
    settings = CompressSettings.parse(values, "compress")
    check_names(settings)  # before anything is read
    return settings


def _has_group(change: str) -> bool:
    """Whether a key=value names its group, or is of no group."""
    return change.partition("=")[0].partition(".")[0] in CompressSettings.model_fields


def network_run(run: Path, data: Dataset | None) -> tuple[RunSettings, dict, Dataset]:
    """Settings, request and data of a finished run of networks.

    Raises
    ------
    DataError
        If the run was trained on other data.
    """
    settings, request = read_run(run)
    check_network(run, settings.model)
    return settings, request, same_data(run, data, request)


def compress_run(
    run: Path,
    out: Path,
    data: Dataset | None,
    small: CompressSettings,
    progress: Progress = silent,
) -> list[dict]:
    """Compress the model of every fold; the result is a run of its own.

    A run that was stopped goes on with the fold that it was in when the call is repeated.

    Raises
    ------
    SettingsError
        If the folder holds anything else.
    """
    settings, request, data = network_run(run, data)
    parts = run_folds(data, settings)
    for index in range(len(parts)):
        SignalClassifier.load(fold_folder(run, index))  # refused before anything is written
    _check_teacher(small, settings, data)
    request = {**request, "method": small.method, "source": run.name}
    begun = {
        **request,
        "finished": False,
        "compression": small.model_dump(mode="json"),
        "models": _sums(run, len(parts)) + _sums(small.teacher.model, len(parts)),
    }
    claim(out, begun, "Choose another folder.")
    costs = []
    for index, fold in enumerate(parts):
        folder = fold_folder(out, index)
        if not (folder / "compression.json").is_file():
            rows = (fold.train, fold.validation)
            told, how = labelled(progress, index, len(parts)), _taught(small, index)
            compress_model(fold_folder(run, index), folder, data.views, data.y, rows, how, told)
        costs.append(read_json(folder / "compression.json"))
    shutil.copy(run / "settings.toml", out / "settings.toml")
    write_json(out / "run.json", request)
    return costs


def _sums(run: Path | None, n_folds: int) -> list[str | None]:
    """Of the weights of each fold, so that a run that was trained anew is told from the first."""
    folders = [] if run is None else [fold_folder(run, index) for index in range(n_folds)]
    return [read_json(folder / "network.json").get("weights_sha256") for folder in folders]


def _check_teacher(small: CompressSettings, settings: RunSettings, data: Dataset) -> None:
    """Refuse a teacher that is no run on the same folds: it would know the test part."""
    check_teacher(small.teacher)
    if small.teacher.model is None:
        return
    named = f"teacher.model '{small.teacher.model}'"
    try:
        other = network_run(small.teacher.model, data)[0]
    except DataError as error:
        read, wanted = _of_views(read_run(small.teacher.model)[0]), _of_views(settings)
        if read == wanted:
            raise
        raise SettingsError(
            f"{named}: it reads {read}; expected {wanted}, as the model. Train it with the same "
            "profile and views."
        ) from error
    same = ("split", "folds")
    found, expected = ([getattr(each, name) for name in same] for each in (other, settings))
    if found != expected:
        raise SettingsError(
            f"{named}: split and folds are {found}; expected {expected}, so that it has not seen "
            "what is tested. Train it that way."
        )


def _of_views(settings: RunSettings) -> str:
    """Profile and further views, for a message."""
    further = f" and {json.dumps(settings.views)}" if settings.views else ""
    return f"views of the profile {settings.profile}{further}"


def _taught(small: CompressSettings, fold: int) -> CompressSettings:
    """The settings of a fold: its teacher is the model of the same fold."""
    if small.teacher.model is None:
        return small
    model = fold_folder(small.teacher.model, fold)
    return small.model_copy(update={"teacher": small.teacher.model_copy(update={"model": model})})


def export_form(
    targets: Sequence[str], weights: str, front_end: bool, integer: bool, calibration: str
) -> Form:
    """The form of the files; refused where it or a target is unknown, before data is read."""
    form = Form(weights, front_end, integer, calibration)
    check_targets(targets, form)
    return form


def export_data(
    run: Path, on: str | None, own: Own, form: Form, progress: Progress = silent
) -> Dataset | None:
    """The data that an export is checked with: where it is named, or needed to calibrate."""
    if on is None and not form.needs_data:
        return None
    data = run_data(run, on, own, progress)
    if data is None:
        raise nameless(run, read_run(run)[1])
    return data


def export_fold(
    run: Path,
    out: Path,
    targets: Sequence[str],
    fold: int,
    form: Form | None = None,
    data: Dataset | None = None,
    progress: Progress = silent,
) -> dict[str, object]:
    """Export one model of a run; what was checked.

    With the data it is checked on the validation part of the fold, and calibrated on rows of its
    training part unless noise is asked for; the test part is not read.
    """
    settings, request = read_run(run)
    check_network(run, settings.model)
    folder = fold_folder(run, fold)
    if not folder.is_dir():
        raise SettingsError(f"--fold {fold}: run '{run}' has no such fold. Choose a smaller one.")
    evidence = None
    if data is not None:
        data = same_data(run, data, request)
        evidence = _evidence(data, run_folds(data, settings)[fold])
    scores = read_json(run / "metrics.json")["scores"] if (run / "metrics.json").is_file() else {}
    metrics = {name: each["mean"] for name, each in scores.items()}
    about = About(request["classes"], metrics)
    manifest = deploy_model(folder, out, targets, evidence, about, form, progress)
    manifest = tell_origin(out, manifest, request["data"])
    check = read_json(out / "check.json")
    names = manifest.target.split("+")
    if len(names) == 1:
        return _shown(out / _FILES[names[0]], check)
    parts = {name: _shown(out / _FILES[name], check[name]) for name in names}
    return {f"{name}: {key}": value for name, part in parts.items() for key, value in part.items()}


def _evidence(data: Dataset, fold: Fold) -> Evidence:
    """The validation part, and some of the training part, in an order that mixes the classes."""
    rng = np.random.default_rng(0)
    checked, trained = rng.permutation(fold.validation), rng.permutation(fold.train)
    return Evidence(data.rows(checked), data.y[checked], data.rows(trained[:N_CALIBRATING]))


def _shown(file: Path, check: dict) -> dict[str, object]:
    """What the command says of one file."""
    shown = {
        "model": str(file),
        "kB": round(file.stat().st_size / 1000, 1),
        "inputs checked": check["n_inputs"],
        "inputs": check["inputs"],
        "largest difference": check.get("largest_difference", "no compiler here"),
        "tolerance": check["tolerance"],
    }
    if "arena_bytes" in check:
        shown["weights, kB"] = round(check["weights_bytes"] / 1000, 1)
        shown["RAM, kB"] = round(check["arena_bytes"] / 1000, 1)
        shown["ms here"] = round(check["milliseconds"], 3) if "milliseconds" in check else "–"
    else:
        shown["weights"] = check["weights"]
        shown["front end inside"] = "yes" if check["front_end_inside"] else "no"
        shown["kB in float"] = round(check["bytes_in_float"] / 1000, 1)
        shown["same decisions, %"] = round(100 * check["same_decisions"], 2)
        shown["asked of them, %"] = round(100 * check["least_same_decisions"], 2)
    if check.get("mcc") is not None:
        shown["rows of the validation part"] = check["n_scored"]
        shown["MCC × 100 in PyTorch"] = round(100 * check["mcc_in_pytorch"], 2)
        shown["MCC × 100"] = round(100 * check["mcc"], 2)
        shown["sure enough to answer, %"] = round(100 * check["answered"], 1)
    return shown

"""What the commands on models share: data by name, settings from file and line, folds of a run."""

import shutil
from pathlib import Path

from emboscope.compression.finetune import LAYER_RULES, MIXED, CompressSettings
from emboscope.compression.quantizers import QUANTIZERS
from emboscope.datasets import OwnFile, load_dataset
from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.compute import set_threads
from emboscope.learning.profiles import ECG, EEG, published_settings
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import merged, read_toml, with_changes
from emboscope.store.folder import is_study
from emboscope.workflows.compress import compress_model, compression_summary
from emboscope.workflows.deploy import deploy_model
from emboscope.workflows.evaluate import evaluate
from emboscope.workflows.files import prepare_folder, read_json, write_json
from emboscope.workflows.fold_models import check_network
from emboscope.workflows.hits_source import hits_from
from emboscope.workflows.profiled_data import in_profile, with_views
from emboscope.workflows.train import (
    RunSettings,
    data_hash,
    fold_folder,
    read_run,
    run_folds,
    train,
)

__all__ = [
    "compress_run", "compress_settings", "evaluate", "export_fold", "load",
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
        raise DataError(f"run '{run}': trained on a file. Name it with --on.")
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
        key=value of the training or the network, with a dot for a group within; of further views
        `views.NAME.kind=KIND`, an entry of `REPRESENTATIONS`.
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
    """A change with the group that its setting belongs to."""
    name = change.partition("=")[0].partition(".")[0]
    if name == "views":
        return change
    return f"{'network' if name in NetworkSettings.model_fields else 'training'}.{change}"


def _group(values: dict[str, object], name: str) -> dict[str, object]:
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"settings.{name}: expected a table [{name}].")
    return found


def compress_settings(method: str | None, changes: tuple[str, ...]) -> CompressSettings:
    """Defaults, a method, then each key=value: of the quantizer, of `training.`, or `layers`.

    Raises
    ------
    SettingsError
        For an unknown key or method.
    """
    named = [each if _has_group(each) else f"quantizer.{each}" for each in changes]
    values = with_changes({} if method is None else {"method": method}, named, "t_max=1.5")
    settings = CompressSettings.parse(values, "compress")
    if settings.method != MIXED:
        QUANTIZERS[settings.method]  # refused here, before anything is read, like the next
    LAYER_RULES[settings.layers]
    return settings


def _has_group(change: str) -> bool:
    """Whether a key=value names its group, or is of no group."""
    return change.startswith(("training.", "quantizer.", "mixed.", "layers=", "method="))


def compress_run(
    run: Path,
    out: Path,
    data: Dataset | None,
    small: CompressSettings,
    progress: Progress = silent,
) -> list[dict]:
    """Compress the model of every fold; the result is a run of its own.

    Raises
    ------
    SettingsError
        If the folder is not empty.
    """
    settings, request = read_run(run)
    check_network(run, settings.model)
    if data is None or data_hash(data) != request["data_hash"]:
        raise DataError(f"run '{run}': trained on other data than this. Name the same data set.")
    if out.is_dir() and any(out.iterdir()):
        raise SettingsError(f"run '{out}': the folder is not empty. Choose another.")
    prepare_folder(out)
    costs = []
    parts = run_folds(data, settings)
    for index, fold in enumerate(parts):
        rows = (fold.train, fold.validation)
        folder = fold_folder(out, index)
        size = compress_model(fold_folder(run, index), folder, data.views, data.y, rows, small)
        costs.append(compression_summary(size))
        progress("compressing folds", index + 1, len(parts))
    shutil.copy(run / "settings.toml", out / "settings.toml")
    write_json(out / "run.json", {**request, "method": small.method, "source": run.name})
    return costs


def export_fold(run: Path, out: Path, target: str, fold: int) -> dict[str, object]:
    """Export one model of a run; what was checked."""
    settings, request = read_run(run)
    check_network(run, settings.model)
    folder = fold_folder(run, fold)
    if not folder.is_dir():
        raise SettingsError(f"--fold {fold}: run '{run}' has no such fold. Choose a smaller one.")
    scores = read_json(run / "metrics.json")["scores"] if (run / "metrics.json").is_file() else {}
    metrics = {name: each["mean"] for name, each in scores.items()}
    deploy_model(
        folder, out, target, classes=request["classes"], metrics=metrics, data=request["data"]
    )
    check = read_json(out / "check.json")
    file = out / _FILES[target]
    shown = {
        "model": str(file),
        "kB": round(file.stat().st_size / 1000, 1),
        "inputs checked": check["n_inputs"],
        "largest difference": check.get("largest_difference", "no compiler here"),
        "tolerance": check["tolerance"],
    }
    if "arena_bytes" in check:
        shown["weights, kB"] = round(check["weights_bytes"] / 1000, 1)
        shown["RAM, kB"] = round(check["arena_bytes"] / 1000, 1)
        shown["ms here"] = round(check["milliseconds"], 3) if "milliseconds" in check else "–"
    return shown

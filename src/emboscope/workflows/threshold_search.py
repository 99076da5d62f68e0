"""Thresholds of a quantizer against what they cost: a search with two aims, kept as it goes."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import ModuleType

import numpy as np

from emboscope.compression.cost import cost
from emboscope.compression.finetune import CompressSettings, compress
from emboscope.datasets.dataset import Dataset
from emboscope.errors import SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.learning.estimator import SignalClassifier
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.report.tradeoff import tradeoff_figure
from emboscope.workflows.files import prepare_folder, write_bytes, write_json, write_text
from emboscope.workflows.study import network_run
from emboscope.workflows.train import fold_folder, run_folds

Range = tuple[float, float]
RANGES: Registry[tuple[Range, Range]] = Registry("method with thresholds")  # of t_min and t_max
RANGES["attq"] = (-4.0, -0.1), (0.1, 4.0)
RANGES["pttq"] = (0.1, 4.0), (0.1, 4.0)
RANGES["learned_pruning"] = (0.1, 4.0), (0.1, 4.0)

_JOURNAL, _SUMMARY, _TRIALS, _PICTURE = "search.log", "search.json", "trials.csv", "tradeoff.png"


@dataclass(frozen=True)
class Trial:
    """One pair of thresholds and what came of it, on the validation part.

    Attributes
    ----------
    t_min, t_max : float
        From which the fine-tuning starts.
    validation_mcc : float
        In [−1, 1].
    sparsity : float
        Share of zeros among the quantized weights.
    gain : float
        CR_G of the whole network.
    best : bool
        Whether no other trial is at least as good in both MCC and zeros, and better in one.
    """

    t_min: float
    t_max: float
    validation_mcc: float
    sparsity: float
    gain: float
    best: bool = False


@dataclass(frozen=True)
class _Target:
    """What is compressed again and again: a model, and the rows it may learn from."""

    classifier: SignalClassifier
    data: Dataset
    train: np.ndarray
    validation: np.ndarray

    def tried(self, settings: CompressSettings) -> tuple[float, float, float]:
        """Validation MCC, share of zeros and CR_G."""
        rows = np.concatenate([self.train, self.validation])
        held = np.arange(len(self.train), len(rows))
        views, y = self.data.rows(rows), self.data.y[rows]
        small = compress(self.classifier, views=views, y=y, validation=held, settings=settings)
        predicted = small.predict(self.data.rows(self.validation))
        size = cost(small.network_)
        return mcc(self.data.y[self.validation], predicted), size.sparsity, size.gain


def search_thresholds(
    run: Path,
    out: Path,
    data: Dataset | None,
    settings: CompressSettings,
    n_trials: int,
    progress: Progress = silent,
) -> list[Trial]:
    """Compress the first fold's model with many thresholds: MCC on validation against zeros.

    The trials are proposed by Optuna's tree-structured Parzen estimator, with two aims, from the
    seed of the run and the number of the trial. Each is kept in `search.log` when it is done: a
    search that was stopped goes on, and one with a larger number of trials adds to it. `trials.csv`
    and `tradeoff.png` are written at the end. No test part is read.

    Parameters
    ----------
    run, out : Path
        Of a finished run, and the folder of the search.
    data : Dataset
        That of the run.
    settings : CompressSettings
        All but t_min and t_max are kept.
    n_trials : int
        In all.
    progress : callable
        Told each trial.

    Returns
    -------
    trials : list of Trial
        In their order.

    Raises
    ------
    SettingsError
        If Optuna is not installed, the method has no two thresholds, or the folder holds another
        search.
    """
    optuna = _optuna()
    ranges = RANGES[settings.method]
    target = _target(run, data)
    _check_same(out, run, settings)
    seed = target.classifier.random_state
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(out / _JOURNAL))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="thresholds",
        directions=["maximize", "maximize"],
        load_if_exists=True,
    )
    while (done := len(_finished(study.trials))) < n_trials:
        progress("trying thresholds", done, n_trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed + 1000 * done)
        trial = study.ask()
        t_min, t_max = (
            trial.suggest_float(name, *bounds)
            for name, bounds in zip(("t_min", "t_max"), ranges, strict=True)
        )
        quantizer = settings.quantizer.model_copy(update={"t_min": t_min, "t_max": t_max})
        found = target.tried(settings.model_copy(update={"quantizer": quantizer}))
        trial.set_user_attr("gain", found[2])
        study.tell(trial, found[:2])
    progress("trying thresholds", n_trials, n_trials)
    trials = _judged(_finished(study.trials))
    write_text(out / _TRIALS, _table(trials))
    write_bytes(out / _PICTURE, _picture(trials, settings.method))
    return trials


def front(points: np.ndarray) -> np.ndarray:
    """Which points no other one beats: larger in one column and not smaller in the other.

    Parameters
    ----------
    points : ndarray, shape (n_points, n_aims)
        All aims are to be large; a row of NaN is beaten.

    Returns
    -------
    best : ndarray of bool, shape (n_points,)
    """
    known = ~np.isnan(points).any(axis=1)
    reached = np.where(known[:, None], points, -np.inf)
    at_least = np.all(reached[None] >= reached[:, None], axis=2)
    better = np.any(reached[None] > reached[:, None], axis=2)
    return known & ~np.any(at_least & better, axis=1)


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise SettingsError(
            '--search: Optuna is not installed. Run: pip install "emboscope[search]"'
        ) from error
    return optuna


def _target(run: Path, data: Dataset | None) -> _Target:
    """The model of the first fold."""
    settings, _, data = network_run(run, data)
    fold = run_folds(data, settings)[0]
    classifier = SignalClassifier.load(fold_folder(run, 0))
    return _Target(classifier, data, fold.train, fold.validation)


def _check_same(out: Path, run: Path, settings: CompressSettings) -> None:
    """Refuse a folder with anything but this search."""
    summary = {"run": str(run.resolve()), "settings": settings.model_dump(mode="json")}
    path = out / _SUMMARY
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != summary:
            raise SettingsError(
                f"search '{out}': of another run or other settings; expected the same. Choose "
                "another folder."
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise SettingsError(f"search '{out}': the folder is not empty. Choose another.")
    write_json(prepare_folder(out) / _SUMMARY, summary)


def _finished(trials: Sequence) -> list:
    """Those that were told what came of them."""
    return [trial for trial in trials if trial.values is not None]


def _judged(trials: Sequence) -> list[Trial]:
    """Trials with their place on the front."""
    best = front(np.array([trial.values for trial in trials], float))
    found = []
    for trial, on_front in zip(trials, best, strict=True):
        score, sparsity = trial.values
        t_min, t_max = trial.params["t_min"], trial.params["t_max"]
        found.append(Trial(t_min, t_max, score, sparsity, trial.user_attrs["gain"], bool(on_front)))
    return found


def _table(trials: Sequence[Trial]) -> str:
    """Comma-separated, a trial a row."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([field.name for field in fields(Trial)])
    for trial in trials:
        *numbers, best = astuple(trial)
        writer.writerow([*(f"{number:.6g}" for number in numbers), int(best)])
    return file.getvalue()


def _picture(trials: Sequence[Trial], method: str) -> bytes:
    points = np.array([(trial.sparsity, trial.validation_mcc) for trial in trials])
    return tradeoff_figure(points, np.array([trial.best for trial in trials]), method)

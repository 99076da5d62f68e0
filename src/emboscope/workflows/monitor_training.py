"""Training of the model that `emboscope monitor` brings along, on simulated patients alone."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from pydantic import Field

from emboscope.annotation.soft_labels import expected_calibration_error
from emboscope.compression.cost import cost
from emboscope.compression.finetune import CompressSettings, FineTuningSettings, compress
from emboscope.datasets.dataset import Dataset
from emboscope.datasets.hits import HitsSettings, dataset_of, simulated_hits
from emboscope.evaluation.metrics import scores
from emboscope.evaluation.protocol import hold_out
from emboscope.export.c_code import export_c
from emboscope.export.manifest import read_manifest, write_manifest
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.learning.uncertainty import threshold_for
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.simulation.recording import SimulationSettings
from emboscope.workflows.classes import SIMULATED, ClassOptions, load_judge
from emboscope.workflows.deploy import CARRIERS_HZ
from emboscope.workflows.files import NOTICE, prepare_folder, versions, write_json, write_text
from emboscope.workflows.monitor_card import card_page
from emboscope.workflows.monitor_check import check_model
from emboscope.workflows.profiled_data import with_views

FORMAT_VERSION = 1
KEPT = ("model.emb", "check.json")  # of an export to C: its code is not needed here
AUGMENT = ("turn_phase", "reverse_flow", "reverse_time")
UNSEEN = SimulationSettings(n_patients=16, minutes=20, rate_factor=30)
_VIEWS: dict[str, dict[str, object]] = {
    "level": {"kind": "waveform", "scaling": "background"},
    "measures": {"kind": "measures"},
}


class MonitorTrainingSettings(Settings):
    """On which patients the model learns, how, and on which it is judged once."""

    hits: HitsSettings = HitsSettings()
    network: NetworkSettings = NetworkSettings(
        members=("cnn1d_compact:level", "cnn2d_compact", "mlp")
    )
    training: TrainSettings = TrainSettings(
        epochs=30, mixup=0.0, keep="best", fusion_penalty=0.03, augment=AUGMENT
    )
    compression: CompressSettings | None = CompressSettings(
        method="int8",
        training=FineTuningSettings(epochs=4, keep="best", fusion_penalty=0.03, augment=AUGMENT),
    )
    wanted_right: float = Field(default=0.95, gt=0, le=1)  # of the answers; others are unknown
    unseen: tuple[SimulationSettings, ...] = (
        UNSEEN.model_copy(update={"carrier_hz": CARRIERS_HZ[0], "seed": 8100}),
        UNSEEN.model_copy(update={"carrier_hz": CARRIERS_HZ[1], "seed": 8200}),
    )
    random_state: int = 0


def train_monitor_model(
    folder: Path, settings: MonitorTrainingSettings | None = None, progress: Progress = silent
) -> dict:
    """Train the model, and write it as an export with its card.

    15 % of the candidates, of whole patients, validate: they choose the epoch, the weights of the
    fusion, the temperature and the probability of an answer. The unseen patients are read once, at
    the end, by the model as it is written.

    Parameters
    ----------
    folder : Path
        For `model.emb`, `manifest.json`, `check.json`, `card.json` and `CARD.md`.
    settings : MonitorTrainingSettings, optional
    progress : callable

    Returns
    -------
    card : dict
        What stands in `card.json`.
    """
    settings = settings or MonitorTrainingSettings()
    data = with_views(dataset_of(simulated_hits(settings.hits, progress)), _VIEWS)
    train, validation = hold_out(data.y, data.groups, settings.random_state)
    classifier = SignalClassifier(
        "hybrid_late", data.front_end, settings.network, settings.training,
        settings.random_state, "cpu",
    )  # fmt: skip
    classifier.fit(data.views, data.y, validation=validation, progress=progress)
    small = classifier
    if settings.compression:
        small = compress(
            classifier, views=data.views, y=data.y, validation=validation,
            settings=settings.compression, progress=progress,
        )  # fmt: skip
    found = small.predict_proba(data.rows(validation))
    validated = {
        "before_compression": scores(data.y[validation], classifier.predict(data.rows(validation))),
        **scores(data.y[validation], found.argmax(axis=1)),
        "calibration_error": expected_calibration_error(found, data.y[validation]),
    }
    least = threshold_for(found, data.y[validation], settings.wanted_right)
    export_shipped(small, folder, data.rows(validation), min(least, 1.0), validated)
    judge = load_judge(ClassOptions(folder))
    unseen = [
        {"carrier_hz": patients.carrier_hz, **check_model(judge, patients, progress)}
        for patients in settings.unseen
    ]
    card = {
        "format_version": FORMAT_VERSION,
        "what": "classes of HITS, artifact, gaseous or solid, by late fusion of three networks",
        "trained_on": SIMULATED,
        "notice": NOTICE,
        "simulator_version": SIMULATOR_VERSION,
        "settings": settings.model_dump(mode="json"),
        "patients": _patients(data, train, validation),
        "parameters": sum(each.numel() for each in small.network_.parameters()),
        "kilobytes": (folder / KEPT[0]).stat().st_size / 1000,
        "bits_before": cost(classifier.network_).bits,
        "least_probability": judge.least,
        "validation": validated,
        "unseen": unseen,
        "versions": versions(),
    }
    write_json(folder / "card.json", card)
    write_text(folder / "CARD.md", card_page(card))
    return card


def export_shipped(
    classifier: SignalClassifier,
    folder: Path,
    views: dict[str, np.ndarray],
    least: float,
    metrics: dict,
) -> None:
    """Write the packed model, the proof that it is the same, and a manifest that tells its origin.

    Parameters
    ----------
    classifier : SignalClassifier
    folder : Path
    views : dict of ndarray
        Real inputs for the numeric check.
    least : float
        Probability of an answer.
    metrics : dict
        Of the validation part.
    """
    prepare_folder(folder)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place)
        export_c(classifier, made, views, ("artifact", "gaseous", "solid"), metrics)
        manifest = read_manifest(made)
        for name in KEPT:
            shutil.copy(made / name, folder / name)
    told = {"trained_on": SIMULATED, "carriers_hz": CARRIERS_HZ, "least_probability": least}
    write_manifest(folder, manifest.model_copy(update=told), KEPT)


def _patients(data: Dataset, train: np.ndarray, validation: np.ndarray) -> dict:
    """How many patients and candidates of each class learn and validate."""
    return {
        name: {
            "patients": len(np.unique(data.groups[rows])),
            **{
                label: int((data.y[rows] == column).sum())
                for column, label in enumerate(data.classes)
            },
        }
        for name, rows in (("training", train), ("validation", validation))
    }

"""Cell of the studies of compression: a model of a fold, as it is or made small."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.compression.cost import cost, count_macs
from emboscope.compression.finetune import CompressSettings, compress
from emboscope.compression.quantizers import QuantizerSettings
from emboscope.datasets.dataset import Dataset
from emboscope.datasets.folders import cache_folder
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.evaluation.protocol import Fold
from emboscope.export.c_code import packed_size
from emboscope.learning.architecture import NetworkSettings, Profile
from emboscope.learning.compute import threads
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.workflows.cells import register
from emboscope.workflows.compress import energy_gains
from emboscope.workflows.evaluate import probabilities
from emboscope.workflows.files import versions
from emboscope.workflows.model_cells import ModelSettings, fitted, fold_of, judged, loaded

_VERSION = 1  # of a kept model: raised when the same settings train another


class TeacherModel(Settings):
    """A model that the compressed one learns from: trained on the same fold, then kept too."""

    model: str = "hybrid_late"
    network: NetworkSettings = NetworkSettings()
    training: TrainSettings = TrainSettings()


class CompressionSettings(Settings):
    """A model in full precision, the fold that it is judged on, and how it is made small."""

    data: str = "esr"
    data_profile: Profile = "corrected"  # of the views
    split: Literal["patient", "recording", "row"] | None = None  # None: what the groups are
    folds: PositiveInt = 10
    model: str = "cnn2d"
    network: NetworkSettings = NetworkSettings()
    training: TrainSettings = TrainSettings()  # in full precision
    compression: CompressSettings | None = None  # None: as it is
    teacher: TeacherModel | None = None  # that teaches; None: the one in full precision
    candidates: tuple[QuantizerSettings, ...] = ()  # in place of the quantizer: one is chosen
    min_gain: float = Field(default=0.0, le=1)  # CR_G that a candidate must have

    @property
    def full(self) -> ModelSettings:
        """The training in full precision."""
        shared = set(ModelSettings.model_fields) & set(CompressionSettings.model_fields)
        return ModelSettings(**{name: getattr(self, name) for name in shared})

    @property
    def teaching(self) -> ModelSettings | None:
        """The training of the teacher, on the same data."""
        if self.teacher is None:
            return None
        own = {name: getattr(self.teacher, name) for name in TeacherModel.model_fields}
        return self.full.model_copy(update=own)


@dataclass(frozen=True)
class _Small:
    """A compressed model and what decides whether it is chosen."""

    model: SignalClassifier
    validation_mcc: float
    gain: float


def compressed_model(
    settings: CompressionSettings, seed: int, progress: Progress = silent
) -> dict[str, float]:
    """Scores on the test part of one fold, and sizes; repeat r is fold r, as in `trained_model`.

    The model in full precision is trained once a fold and kept, so that all rows compress the same
    one. Of several `candidates` that of the largest MCC on the validation part is taken, among
    those whose CR_G reaches `min_gain`; where none does, that of the largest CR_G.

    Numbers are the scores, `delta_mcc`: MCC less that in full precision, `validation_mcc`,
    `sparsity`: zeros among the quantized weights, `rate`: bits over those before, `gain`: CR_G of
    the whole network and `gain_quantized` of its quantized tensors (`gain_slides`,
    `gain_quantized_slides`: by the published rule), `packed_kb` of the `.emb`, `parameters`,
    `macs_m`, and `energy_honest`, `energy_slides`, `energy_legacy`: EC_G.
    """
    data = loaded(settings.full)
    fold = fold_of(data, settings.full, seed)
    reference = full_precision(settings.full, data, fold, seed, progress)
    chosen, method = reference, _taught(settings, data, fold, seed, progress)
    if method is not None:
        chosen = _chosen(settings, method, reference, data, fold, progress)
    numbers = judged(probabilities(chosen, data, fold.test), data, fold.test)
    before = _mcc(reference, data, fold.test)
    return {
        **numbers,
        "delta_mcc": numbers["mcc"] - before,
        "validation_mcc": _mcc(chosen, data, fold.validation),
        **sizes(reference, chosen, data.rows(np.arange(1))),
    }


def full_precision(
    settings: ModelSettings, data: Dataset, fold: Fold, seed: int, progress: Progress = silent
) -> SignalClassifier:
    """The model of a fold: brought back from the cache folder, or trained and kept there.

    It is named by a hash of its settings, the seed, the data and what it is computed with.
    """
    folder = _folder(settings, data, fold, seed)
    try:
        found = SignalClassifier.load(folder)
    except DataError:  # not there, or not whole
        found = _trained(settings, data, fold, seed, progress)
        found.save(folder)
    found.device = "cpu"
    return found


def _taught(
    settings: CompressionSettings, data: Dataset, fold: Fold, seed: int, progress: Progress
) -> CompressSettings | None:
    """How the model is compressed, with the folder of its teacher where it has one."""
    method, teaching = settings.compression, settings.teaching
    if teaching is None:
        return method
    if method is None or not method.teacher.weight:
        raise SettingsError(
            "teacher: without compression.teacher.weight; expected a weight above 0, up to 1. Give "
            "one, or leave the teacher out."
        )
    full_precision(teaching, data, fold, seed, progress)
    model = _folder(teaching, data, fold, seed)
    return method.model_copy(update={"teacher": method.teacher.model_copy(update={"model": model})})


def _trained(
    settings: ModelSettings, data: Dataset, fold: Fold, seed: int, progress: Progress
) -> SignalClassifier:
    classifier = fitted(data, fold, settings, seed, progress)
    if not isinstance(classifier, SignalClassifier):
        raise DataError(
            f"compression: {settings.model} has no weights; expected a network. Choose cnn2d."
        )
    return classifier


def _folder(settings: ModelSettings, data: Dataset, fold: Fold, seed: int) -> Path:
    """Where a model is kept: by a hash of all that its weights depend on."""
    made_with = {**versions(), "torch": version("torch"), "threads": threads()}
    content = [_VERSION, settings.model_dump(mode="json"), seed, made_with]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    digest.update(data.front_end.model_dump_json().encode())
    for values in (data.y, fold.train, fold.validation, *data.views.values()):
        digest.update(np.ascontiguousarray(values).data)
    return cache_folder() / "models" / digest.hexdigest()[:16]


def _chosen(
    settings: CompressionSettings,
    method: CompressSettings,
    reference: SignalClassifier,
    data: Dataset,
    fold: Fold,
    progress: Progress,
) -> SignalClassifier:
    """The compressed model, the best on the validation part of several."""
    made = []
    for quantizer in settings.candidates or (method.quantizer,):
        tried = method.model_copy(update={"quantizer": quantizer})
        model = _compressed(reference, tried, data, fold, progress)
        made.append(_Small(model, _mcc(model, data, fold.validation), cost(model.network_).gain))
    small = [each for each in made if each.gain >= settings.min_gain]
    if small:
        return max(small, key=lambda each: each.validation_mcc).model
    return max(made, key=lambda each: each.gain).model


def _compressed(
    reference: SignalClassifier,
    settings: CompressSettings,
    data: Dataset,
    fold: Fold,
    progress: Progress,
) -> SignalClassifier:
    rows = np.concatenate([fold.train, fold.validation])
    return compress(
        reference,
        views=data.rows(rows),
        y=data.y[rows],
        validation=np.arange(len(fold.train), len(rows)),
        settings=settings,
        progress=progress,
    )


def _mcc(model: SignalClassifier, data: Dataset, rows: np.ndarray) -> float:
    return mcc(data.y[rows], model.predict(data.rows(rows)))


def sizes(
    reference: SignalClassifier, small: SignalClassifier, one: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Sizes and energy of a model beside the one that it was made of, for one sample."""
    network, views = small.network_, dict(one)
    honest, slides = cost(network), cost(network, "slides")
    gains = energy_gains(reference, small, views)
    return {
        "sparsity": honest.sparsity,
        "rate": honest.bits / honest.bits_before,
        "gain": honest.gain,
        "gain_quantized": honest.gain_quantized,
        "gain_slides": slides.gain,
        "gain_quantized_slides": slides.gain_quantized,
        "packed_kb": packed_size(small) / 1000,
        "parameters": float(sum(each.numel() for each in network.parameters())),
        "macs_m": sum(count_macs(network, small.tensors(views)).values()) / 1e6,
        **{f"energy_{mode}": after.gain_over(before) for mode, (before, after) in gains.items()},
    }


register("compression", CompressionSettings, compressed_model)

"""Compression of a trained classifier: quantize its layers, then let it learn to live with that."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from sklearn.utils.validation import check_is_fitted
from torch import nn

from emboscope.compression.cost import count_macs
from emboscope.compression.encodings import FLOAT_BITS
from emboscope.compression.mixed_precision import (
    FLOAT,
    MixedSettings,
    allocate,
    layer_choices,
    layer_traces,
)
from emboscope.compression.normalization import STATISTICS
from emboscope.compression.quantizers import (
    QuantizerSettings,
    quantize,
    settle,
    weighted_layers,
)
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import hold_out
from emboscope.learning.architecture import Encoder
from emboscope.learning.encoders import Cnn1dTransformer
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.front_end import twin_of
from emboscope.learning.loop import Rows, Task, fit_network
from emboscope.learning.models import views_of
from emboscope.learning.objective import Teacher
from emboscope.learning.settings import TrainSettings
from emboscope.learning.small import Cnn2dSmall
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.settings import Settings


class FineTuningSettings(TrainSettings):
    """As any training, with defaults of its own; without an epoch the weights are rounded alone."""

    epochs: NonNegativeInt = 8
    learning_rate: PositiveFloat | None = 1e-3
    weight_decay: NonNegativeFloat = 0.0  # it would pull the logarithms of scales to 0
    mixup: NonNegativeFloat = 0.0


class TeacherSettings(Settings):
    """What the compressed model learns from another one beside the labels."""

    weight: float = Field(default=0.0, ge=0, le=1)  # of its probabilities; 0: none
    temperature: PositiveFloat = 4.0
    model: Path | None = None  # folder of a saved classifier; None: the one that is compressed


class CompressSettings(Settings):
    """How a model is compressed. Every default stands here and nowhere else."""

    method: str = "ttq"  # a name in QUANTIZERS, or mixed
    layers: str = "inner"  # which are quantized, a name in LAYER_RULES
    quantizer: QuantizerSettings = QuantizerSettings()
    mixed: MixedSettings = MixedSettings()  # of the method mixed
    training: FineTuningSettings = FineTuningSettings()
    teacher: TeacherSettings = TeacherSettings()
    normalization: str = "kept"  # where its statistics come from, a name in STATISTICS


MIXED = "mixed"  # the method that gives each layer one of several
LAYER_RULES: Registry[Callable[[nn.Module], list[str]]] = Registry("rule of layers")


def inner_layers(network: nn.Module) -> list[str]:
    """Of every encoder, all but the first and those of the attention.

    The first layer sees the signal, the last ones, the heads, stand outside the encoders: both
    stay in full precision, and so do biases, normalizations and the class token.

    Parameters
    ----------
    network : Module
        Of `emboscope.learning.models`.

    Returns
    -------
    names : list of str
        Convolution and linear layers, by module name.
    """
    chosen = []
    for prefix, encoder in _encoders(network):
        _, *others = _unattended(encoder)
        chosen += [f"{prefix}.{name}" for name in others]
    return chosen


def every_layer(network: nn.Module) -> list[str]:
    """Every convolution and linear layer but those of the attention, heads included."""
    return _unattended(network)


def published_layers(network: nn.Module) -> list[str]:
    """Those of the publication: of the transformer its second convolution and each `linear2`.

    Of the small CNN both convolutions, the first too; of other encoders as `inner`.
    """
    chosen = []
    for prefix, encoder in _encoders(network):
        names = _unattended(encoder)
        if isinstance(encoder, Cnn1dTransformer):
            names = [name for name in names if name == "stem.2" or name.endswith(".linear2")]
        elif isinstance(encoder, Cnn2dSmall):
            names = [n for n in names if isinstance(encoder.get_submodule(n), nn.Conv2d)]
        else:
            names = names[1:]
        chosen += [f"{prefix}.{name}" for name in names]
    return chosen


def whole_network(network: nn.Module) -> list[str]:
    """Every layer with weights, heads and the projections of the attention included."""
    return list(weighted_layers(network))


LAYER_RULES["inner"] = inner_layers
LAYER_RULES["published"] = published_layers
LAYER_RULES["all"] = every_layer
LAYER_RULES["whole"] = whole_network


def _encoders(network: nn.Module) -> list[tuple[str, nn.Module]]:
    return [part for part in network.named_modules() if isinstance(part[1], Encoder)]


def _unattended(network: nn.Module) -> list[str]:
    """Weighted layers that are no part of an attention."""
    attention = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    ]
    return [
        name
        for name in weighted_layers(network)
        if not any(f"{name}.".startswith(f"{part}.") for part in attention)
    ]


def compress(
    classifier: SignalClassifier,
    method: str | None = None,
    *,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    validation: np.ndarray | None = None,
    settings: CompressSettings | None = None,
    progress: Progress = silent,
) -> SignalClassifier:
    """A smaller classifier with the quantized weights of another, fine-tuned.

    The loop, its losses, its augmentation and its seed are those of the training.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted. It is not changed.
    method : str, optional
        A name in `QUANTIZERS`, or `mixed`, in place of that of the settings.
    views : dict of ndarray
        As in `SignalClassifier.fit`: of those rows that the classifier may learn from.
    y : ndarray of int, shape (n_samples,)
        -1 is unlabeled and left out.
    validation : ndarray of int, optional
        The rows that validate and set the weights of a late fusion; 15 % of the rows without.
        Where rows come in groups, give those of whole groups.
    settings : CompressSettings, optional
    progress : callable
        Told each epoch.

    Returns
    -------
    small : SignalClassifier
        Its network has the layers and names of the original, with quantized weights.

    Raises
    ------
    DataError
        If a label is none of those that the classifier knows.
    SettingsError
        If the method is unknown, or the network has no layer to quantize.
    """
    check_is_fitted(classifier, "network_")
    settings = settings or CompressSettings()
    if settings.quantizer.gradual and not settings.training.epochs:
        raise SettingsError(
            "quantizer.gradual: without an epoch; expected some, over which zeros become more. "
            "Raise training.epochs, or leave gradual out."
        )
    small = copy.deepcopy(classifier)
    names = LAYER_RULES[settings.layers](small.network_)
    if not names:
        raise SettingsError(
            f"compress: model '{classifier.model}' has no layer to quantize; expected one behind "
            "the first of an encoder. Choose a larger model."
        )
    task = _task(small, views, np.asarray(y), validation, settings)
    macs = _macs(task)
    for method_of_some, some in _shared_out(method or settings.method, names, task, settings):
        quantize(small.network_, some, method_of_some, settings.quantizer, macs)
    STATISTICS[settings.normalization](task)
    small.history_ = fit_network(
        task, settings.training, device=classifier.device, progress=progress
    )
    settle(small.network_).eval()
    return small


def _shared_out(
    method: str, names: list[str], task: Task, settings: CompressSettings
) -> list[tuple[str, list[str]]]:
    """Which layers get which method; those that stay in full precision are left out."""
    if method != MIXED:
        return [(method, names)]
    mixed, network = settings.mixed, task.network
    some = task.train.batch(_few(task, mixed))
    views = some.views
    if task.front_end is not None:
        views = task.front_end.from_waveform(views["waveform"])
    traces = layer_traces(network, names, views, some.classes, mixed.n_probes, task.seed)
    choices = layer_choices(network, traces, mixed.choices, settings.quantizer)
    n_weights = sum(choice[0].n_weights for choice in choices.values())
    chosen = allocate(choices, int(mixed.share * FLOAT_BITS * n_weights))
    methods = dict.fromkeys(choice.method for choice in chosen.values())
    return [
        (each, [name for name, choice in chosen.items() if choice.method == each])
        for each in methods
        if each != FLOAT
    ]


def _few(task: Task, mixed: MixedSettings) -> torch.Tensor:
    """Some rows of the training part, by the seed."""
    generator = torch.Generator().manual_seed(task.seed)
    return torch.randperm(len(task.train), generator=generator)[: mixed.n_samples]


def _macs(task: Task) -> dict[str, int]:
    """Multiply-adds of each layer, for one row."""
    rows = task.validation if len(task.validation) else task.train
    views = rows.batch(torch.arange(1)).views
    if task.front_end is not None and rows is task.train:
        views = task.front_end.from_waveform(views["waveform"])
    return count_macs(task.network, views)


def _task(
    classifier: SignalClassifier,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    validation: np.ndarray | None,
    settings: CompressSettings,
) -> Task:
    """What the loop is to learn, and from whom."""
    unknown = np.setdiff1d(y[y >= 0], classifier.classes_)
    if unknown.size:
        raise DataError(
            f"labels: class {unknown[0]} is new; expected {classifier.classes_.tolist()}, as in "
            "training. Leave those rows out."
        )
    if validation is None:
        train, validation = hold_out(y, None, classifier.random_state)
    else:
        train = np.setdiff1d(np.flatnonzero(y >= 0), validation)
    if classifier.front_end is not None:
        views = classifier.front_end.complete(views)
    teacher = _teacher(classifier, settings.teacher, views)
    network, codes = classifier.network_, np.searchsorted(classifier.classes_, y)
    read = views_of(network)
    names = read if teacher is None else tuple(dict.fromkeys((*read, *views_of(teacher.network))))
    twin = twin_of(classifier.front_end, bool(settings.training.augment), names)
    return Task(
        network,
        _rows(views, codes, train, ("waveform",) if twin else names),
        _rows(views, codes, validation, read),
        len(classifier.classes_),
        twin,
        classifier.random_state,
        teacher,
    )


def _teacher(
    classifier: SignalClassifier, settings: TeacherSettings, views: dict[str, np.ndarray]
) -> Teacher | None:
    """The network that teaches: the classifier's own as it is, or that of another."""
    check_teacher(settings)
    if not settings.weight:
        return None
    other = classifier if settings.model is None else SignalClassifier.load(settings.model)
    if not np.array_equal(other.classes_, classifier.classes_):
        raise DataError(
            f"teacher '{settings.model}': classes {other.classes_.tolist()}; expected "
            f"{classifier.classes_.tolist()}. Take one that was trained on the same data."
        )
    for name in views_of(other.network_):
        if name not in views or _chain(other, name) != _chain(classifier, name):
            raise DataError(
                f"teacher '{settings.model}': reads another view '{name}' than the model has; "
                "expected the same front end. Train both with the same views."
            )
    network, is_own = copy.deepcopy(other.network_), settings.model is None
    return Teacher(network, settings.temperature, settings.weight, is_own)


def check_teacher(settings: TeacherSettings) -> None:
    """SettingsError where a teacher is named that would have no say."""
    if settings.model is not None and not settings.weight:
        raise SettingsError(
            "teacher.model: with teacher.weight 0; expected a weight above 0, up to 1. Give one, "
            "for example teacher.weight=0.5."
        )


def _chain(classifier: SignalClassifier, view: str) -> object:
    """How a classifier makes a view; its shape where it makes none."""
    made = {} if classifier.front_end is None else classifier.front_end.views
    return made.get(view, classifier.shapes_.get(view))


def _rows(
    views: dict[str, np.ndarray], codes: np.ndarray, rows: np.ndarray, names: tuple[str, ...]
) -> Rows:
    """Tensors of some rows."""
    tensors = {name: torch.from_numpy(views[name][rows].astype(np.float32)) for name in names}
    return Rows(tensors, torch.from_numpy(codes[rows].astype(np.int64)))

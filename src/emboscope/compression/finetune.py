"""Compression of a trained classifier: quantize its layers, then let it learn to live with that."""

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from emboscope.compression.quantizers import quantize, settle, weighted_layers
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import hold_out
from emboscope.learning.architecture import Encoder
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.learning.loop import Rows, Task, fit_network
from emboscope.learning.models import views_of
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent

# Weight decay would pull the scales, which are learned as logarithms, to 1.
FINE_TUNING = TrainSettings(epochs=8, learning_rate=1e-3, weight_decay=0.0, mixup=0.0)


def choose_layers(network: nn.Module) -> list[str]:
    """The layers to quantize: of every encoder, all but the first and those of the attention.

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
    for prefix, encoder in network.named_modules():
        if not isinstance(encoder, Encoder):
            continue
        attention = [
            name
            for name, module in encoder.named_modules()
            if isinstance(module, nn.MultiheadAttention)
        ]
        _, *others = weighted_layers(encoder)
        chosen += [
            f"{prefix}.{name}"
            for name in others
            if not any(name.startswith(f"{part}.") for part in attention)
        ]
    return chosen


def compress(
    classifier: SignalClassifier,
    method: str = "ttq",
    *,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    validation: np.ndarray | None = None,
    training: TrainSettings | None = None,
    progress: Progress = silent,
) -> SignalClassifier:
    """A smaller classifier with the quantized weights of another, fine-tuned.

    The loop, its losses, its augmentation and its seed are those of the training.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted. It is not changed.
    method : str
        A name in `QUANTIZERS`.
    views : dict of ndarray
        As in `SignalClassifier.fit`: of those rows that the classifier may learn from.
    y : ndarray of int, shape (n_samples,)
        -1 is unlabeled and left out.
    validation : ndarray of int, optional
        The rows that validate and set the weights of a late fusion; 15 % of the rows without.
        Where rows come in groups, give those of whole groups.
    training : TrainSettings, optional
        `FINE_TUNING` without.
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
    small = copy.deepcopy(classifier)
    names = choose_layers(small.network_)
    if not names:
        raise SettingsError(
            f"compress: model '{classifier.model}' has no layer to quantize; expected one behind "
            "the first of an encoder. Choose a larger model."
        )
    quantize(small.network_, names, method)
    task = _task(small, views, np.asarray(y), validation)
    small.history_ = fit_network(
        task, training or FINE_TUNING, device=classifier.device, progress=progress
    )
    settle(small.network_).eval()
    return small


def _task(
    classifier: SignalClassifier,
    views: dict[str, np.ndarray],
    y: np.ndarray,
    validation: np.ndarray | None,
) -> Task:
    """What the loop is to learn."""
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
    front_end = classifier.front_end
    twin = None
    if front_end is not None:
        views = front_end.complete(views)
        twin = TorchFrontEnd(front_end) if front_end.follows_waveform else None
    network, codes = classifier.network_, np.searchsorted(classifier.classes_, y)
    read = views_of(network)
    return Task(
        network,
        _rows(views, codes, train, ("waveform",) if twin else read),
        _rows(views, codes, validation, read),
        len(classifier.classes_),
        twin,
        classifier.random_state,
    )


def _rows(
    views: dict[str, np.ndarray], codes: np.ndarray, rows: np.ndarray, names: tuple[str, ...]
) -> Rows:
    """Tensors of some rows."""
    tensors = {name: torch.from_numpy(views[name][rows].astype(np.float32)) for name in names}
    return Rows(tensors, torch.from_numpy(codes[rows].astype(np.int64)))

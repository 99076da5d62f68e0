"""How sure a network is: by dropout, by several networks, and when to say nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from emboscope.errors import SettingsError
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.reading import read

UNKNOWN = -1


@dataclass(frozen=True)
class Uncertainty:
    """What several predictions of the same rows say together.

    Attributes
    ----------
    mean : ndarray, shape (n_samples, n_classes)
        Of the probabilities.
    total : ndarray, shape (n_samples,)
        Entropy of the mean, in nats.
    disagreement : ndarray, shape (n_samples,)
        What of it stems from the predictions differing: total less their mean entropy, the mutual
        information. High where the network was not trained, low where the classes overlap.
    """

    mean: np.ndarray
    total: np.ndarray
    disagreement: np.ndarray


def uncertainty_of(probabilities: np.ndarray) -> Uncertainty:
    """Join predictions, shape (n_predictions, n_samples, n_classes) [1]_.

    References
    ----------
    .. [1] Depeweg, S., Hernández-Lobato, J. M., Doshi-Velez, F., Udluft, S. (2018). Decomposition
       of uncertainty in Bayesian deep learning for efficient and risk-sensitive learning. ICML.
    """
    mean = probabilities.mean(axis=0)
    total = _entropy(mean)
    return Uncertainty(mean, total, np.maximum(total - _entropy(probabilities).mean(axis=0), 0))


def by_dropout(
    classifier: SignalClassifier, views: dict[str, np.ndarray], n_passes: int = 20, seed: int = 0
) -> Uncertainty:
    """Passes with dropout left on; all else is in evaluation mode [1]_.

    Raises
    ------
    SettingsError
        If the network has no dropout.

    References
    ----------
    .. [1] Gal, Y., Ghahramani, Z. (2016). Dropout as a Bayesian approximation: representing model
       uncertainty in deep learning. ICML.
    """
    network, tensors = classifier.network_, classifier.tensors(views)
    dropouts = [
        part
        for part in network.modules()
        if (isinstance(part, nn.Dropout | nn.Dropout2d) and part.p)
        or (isinstance(part, nn.MultiheadAttention) and part.dropout)
    ]
    if not dropouts:
        raise SettingsError(
            f"uncertainty: model '{classifier.model}' has no dropout; expected some. Raise "
            "network.dropout, or train several networks."
        )
    passes = []

    def one_pass(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        for part in dropouts:
            part.train()
        return network(batch).softmax(dim=1)

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would leave dropout out
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for _ in range(n_passes):
                passes.append(read(network, tensors, one_pass).numpy())
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        network.eval()
    return uncertainty_of(np.stack(passes))


def by_ensemble(
    classifiers: Sequence[SignalClassifier], views: dict[str, np.ndarray]
) -> Uncertainty:
    """Predictions of networks that were trained from other seeds, or on other folds [1]_.

    References
    ----------
    .. [1] Lakshminarayanan, B., Pritzel, A., Blundell, C. (2017). Simple and scalable predictive
       uncertainty estimation using deep ensembles. NeurIPS.
    """
    if len(classifiers) < 2:
        raise SettingsError(
            f"uncertainty: {len(classifiers)} network; expected at least 2. Train another seed."
        )
    if any(not np.array_equal(each.classes_, classifiers[0].classes_) for each in classifiers):
        raise SettingsError(
            "uncertainty: networks that know different classes; expected the same. Train them on "
            "parts that hold all classes."
        )
    return uncertainty_of(np.stack([each.predict_proba(views) for each in classifiers]))


def abstain(probabilities: np.ndarray, classes: np.ndarray, least: float) -> np.ndarray:
    """The likeliest class of each row, −1, "unknown", where its probability is under `least`.

    Parameters
    ----------
    probabilities : ndarray, shape (n_samples, n_classes)
    classes : ndarray of int, shape (n_classes,)
    least : float
        0 to 1; from `threshold_for`.
    """
    chosen = classes[probabilities.argmax(axis=1)]
    return np.where(probabilities.max(axis=1) >= least, chosen, UNKNOWN)


def threshold_for(probabilities: np.ndarray, y: np.ndarray, accuracy: float) -> float:
    """The least probability at which the rows that are answered are right so often.

    Parameters
    ----------
    probabilities : ndarray, shape (n_samples, n_classes)
        Of rows that were not learned from.
    y : ndarray of int, shape (n_samples,)
        Columns of the true classes.
    accuracy : float
        Wanted, 0 to 1.

    Returns
    -------
    threshold : float
        The lowest that reaches it; above 1, so that nothing is answered, if none does.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    order = np.argsort(-sure, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(y) + 1)
    last_of_equals = np.append(sure[order][1:] != sure[order][:-1], True)
    reached = np.flatnonzero((shares >= accuracy) & last_of_equals)
    return float(sure[order][reached[-1]]) if reached.size else float(np.nextafter(1, 2))


def _entropy(p: np.ndarray) -> np.ndarray:
    """In nats, over the last axis."""
    return -(p * np.log(np.maximum(p, np.finfo(float).tiny))).sum(axis=-1)

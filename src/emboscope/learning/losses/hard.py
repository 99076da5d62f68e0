"""What each class costs if it is the label: losses that are linear in the target.

A cost takes log-probabilities (batch, class) and gives the loss of every class (batch, class). A
distribution costs the mean of its classes, so that hard and soft targets share one formula.
"""

import numpy as np
import torch
from torch import Tensor

from emboscope.errors import SettingsError
from emboscope.learning.label_noise import transition_matrix
from emboscope.learning.losses.settings import LossSettings


def log_cost(log_p: Tensor, settings: LossSettings) -> Tensor:
    """−log p_k: the cross-entropy, of hard and of soft labels."""
    return -log_p


def power_cost(log_p: Tensor, settings: LossSettings) -> Tensor:
    """(1 − p_k^q)/q: the generalized cross-entropy, robust to wrong labels [1]_.

    q → 0 gives the cross-entropy, q = 1 gives 1 − p_k. Where p underflows the gradient is 0, never
    NaN: a class that starts far off learns slowly, so train some epochs by `ce` first.

    References
    ----------
    .. [1] Zhang, Z., Sabuncu, M. R. (2018). Generalized cross entropy loss for training deep
       neural networks with noisy labels. NeurIPS. Equation 6.
    """
    return -torch.expm1(settings.q * log_p) / settings.q


def forward_cost(log_p: Tensor, settings: LossSettings) -> Tensor:
    """−log Σ_i p_i T_ik: the cross-entropy of labels that noise has passed through [1]_.

    T_ik is the chance that the true class i was labeled k: `settings.transition`, or made from
    `noise_rate` and `noise_kind`. With the true T, the network that is best on noisy labels is the
    one that is best on clean labels.

    Raises
    ------
    SettingsError
        If T is of another number of classes.

    References
    ----------
    .. [1] Patrini, G., Rozza, A., Menon, A. K., Nock, R., Qu, L. (2017). Making deep neural
       networks robust to label noise: a loss correction approach. CVPR. Theorem 2.
    """
    transition = torch.as_tensor(_transition(log_p.shape[1], settings)).to(log_p)
    return -(log_p[:, :, None] + transition.log()).logsumexp(dim=1)


def _transition(n_classes: int, settings: LossSettings) -> np.ndarray:
    """The matrix that was given, or that follows from the noise; (n_classes, n_classes)."""
    if settings.transition is None:
        return transition_matrix(settings.noise_rate, n_classes, settings.noise_kind)
    if len(settings.transition) != n_classes:
        raise SettingsError(
            f"transition: {len(settings.transition)} classes; expected {n_classes}, as many as "
            "the network tells apart. Give one row and one column a class."
        )
    return np.array(settings.transition)

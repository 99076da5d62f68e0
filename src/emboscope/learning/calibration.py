"""Probabilities that mean what they say: one temperature, fitted to held-out rows."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

_LOG_TEMPERATURES = (-3.0, 3.0)  # searched


def fit_temperature(log_p: Tensor, y: Tensor) -> float:
    """The temperature T of least negative log-likelihood of softmax(log p / T) [1]_.

    It changes no decision. Above 1 the network was too sure.

    Parameters
    ----------
    log_p : Tensor, shape (n_samples, class)
        Logits or log-probabilities of rows that were not learned from.
    y : Tensor of int, shape (n_samples,)

    Returns
    -------
    temperature : float
        Minimum of the negative log-likelihood plus (log T)²/2, which keeps T near 1 where rows are
        few, or all of them right.

    References
    ----------
    .. [1] Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
       networks. ICML. Section 4.2. The penalty is ours.
    """
    log_p = log_p.double()

    def cost(log_temperature: float) -> float:
        scaled = log_p / math.exp(log_temperature)
        likelihood = functional.cross_entropy(scaled, y, reduction="sum")
        return log_temperature**2 / 2 + float(likelihood)

    with torch.no_grad():
        found = minimize_scalar(cost, bounds=_LOG_TEMPERATURES, method="bounded")
    return math.exp(found.x)

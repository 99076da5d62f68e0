"""Probabilities that mean what they say: one temperature, fitted to held-out rows."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

_COLDEST, _HOTTEST = 0.25, 10.0  # few rows that are all right must not make all certain


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
        In [0.25, 10].

    References
    ----------
    .. [1] Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
       networks. ICML.
    """
    log_p = log_p.double()

    def loss(log_temperature: float) -> float:
        scaled = log_p / math.exp(log_temperature)
        return float(functional.cross_entropy(scaled, y))

    bounds = (math.log(_COLDEST), math.log(_HOTTEST))
    with torch.no_grad():
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return math.exp(found.x)

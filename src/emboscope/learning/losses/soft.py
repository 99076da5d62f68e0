"""How far a prediction is from a distribution: losses that are not linear in the target.

Each takes log-probabilities log Q (batch, class) and labels P (batch, class), and gives (batch,).
A label of exactly 0 counts as the least positive number where its logarithm is taken (−87 in 32
bits), so that no loss is infinite.
"""

import math

import torch
from torch import Tensor

from emboscope.learning.losses.settings import LossSettings


def symmetric_cross_entropy(log_p: Tensor, labels: Tensor, settings: LossSettings) -> Tensor:
    """a·(−Σ P log Q) + b·(−Σ Q log P), with log P of at least A [1]_.

    The second, reverse term tolerates wrong labels; of a hard label it is −A·(1 − q_y). The paper
    sets A = log 0 := −4, as here; public code often bounds P at 1e-4 instead, which is A = −9.21
    and makes b 2.3 times as strong.

    References
    ----------
    .. [1] Wang, Y., Ma, X., Chen, Z., Luo, Y., Yi, J., Bailey, J. (2019). Symmetric cross entropy
       for robust learning with noisy labels. ICCV.
    """
    forward = -(labels * log_p).sum(dim=1)
    reverse = -(log_p.exp() * _log(labels).clamp(min=settings.sym_log_zero)).sum(dim=1)
    return settings.sym_a * forward + settings.sym_b * reverse


def jensen_shannon(log_p: Tensor, labels: Tensor, settings: LossSettings) -> Tensor:
    """½ KL(P ‖ M) + ½ KL(Q ‖ M) with M = ½ (P + Q) [1]_: 0 to ln 2, or 0 to 1 in bits.

    Bounded, so that a wrong label costs little more than an uncertain one. Far from the label the
    gradient fades like q_y: training may start slowly.

    References
    ----------
    .. [1] Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
       Information Theory, 37(1).
    """
    log_m = torch.logaddexp(labels.log(), log_p) - math.log(2)
    to_label = torch.xlogy(labels, labels) - labels * log_m
    to_prediction = log_p.exp() * (log_p - log_m)
    nats = (to_label + to_prediction).sum(dim=1) / 2
    return nats / math.log(2) if settings.jsd_unit == "bits" else nats


def geometric_jensen_shannon(log_p: Tensor, labels: Tensor, settings: LossSettings) -> Tensor:
    """α(1−α)·[β·KL(P ‖ Q) + γ·KL(Q ‖ P)] [1]_.

    With β = γ = 1 it is (1−α) KL(P ‖ m) + α KL(Q ‖ m) about the geometric mean m = P^{1−α} Q^α,
    left without normalization: the extended form of [2]_. Smooth hard labels: KL(Q ‖ P) is
    infinite where a label is 0.

    References
    ----------
    .. [1] Vindas, Y., et al. (2023). IEEE International Ultrasonics Symposium.
    .. [2] Nielsen, F. (2019). On the Jensen–Shannon symmetrization of distances relying on
       abstract means. Entropy, 21(5), 485.
    """
    share = settings.alpha * (1 - settings.alpha)
    from_label, from_prediction = _divergences(log_p, labels)
    return share * (settings.beta * from_label + settings.gamma * from_prediction)


def normalized_geometric_jensen_shannon(
    log_p: Tensor, labels: Tensor, settings: LossSettings
) -> Tensor:
    """(1−α) KL(P ‖ m) + α KL(Q ‖ m) about m = P^{1−α} Q^α / Z, a distribution [1]_.

    That is the extended form with β = γ = 1, plus log Z, Z = Σ P^{1−α} Q^α ≤ 1. For a nearly hard
    label it has a second minimum at a wrong class: with α = ½ and a smoothing of 1e-3, q_y between
    0.001 and 0.086 falls further. A smoothing of 0.05 removes that for 2 to 12 classes; a smaller
    α brings it back.

    References
    ----------
    .. [1] Nielsen, F. (2019). On the Jensen–Shannon symmetrization of distances relying on
       abstract means. Entropy, 21(5), 485.
    """
    alpha = settings.alpha
    log_z = ((1 - alpha) * _log(labels) + alpha * log_p).logsumexp(dim=1)
    from_label, from_prediction = _divergences(log_p, labels)
    return alpha * (1 - alpha) * (from_label + from_prediction) + log_z


def _divergences(log_p: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """KL(P ‖ Q) and KL(Q ‖ P), (batch,) each; P log P by `xlogy`, whose gradient is finite at 0."""
    from_label = (torch.xlogy(labels, labels) - labels * log_p).sum(dim=1)
    from_prediction = (log_p.exp() * (log_p - _log(labels))).sum(dim=1)
    return from_label, from_prediction


def _log(labels: Tensor) -> Tensor:
    return labels.clamp(min=torch.finfo(labels.dtype).tiny).log()

"""Parameters of all losses. Every default stands here and nowhere else."""

from typing import Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, model_validator

from emboscope.settings import Settings

_SUM_ERROR = 1e-6  # by which a row of the transition may miss the sum of 1


class LossSettings(Settings):
    """What a loss may be told; each reads its own.

    The defaults of `sym_a` and `sym_b` are those of CIFAR-10 in the paper of `sym_ce`. Lower
    `beta` for noisy labels. At a `noise_rate` of (K − 1)/K symmetric noise leaves K classes
    nothing to learn from.
    """

    smoothing: float | None = Field(default=None, ge=0, lt=1)  # ε; None: what the loss needs
    q: float = Field(default=0.7, gt=0, le=1)  # gce: → 0 is the cross-entropy, 1 is 1 − p_y
    sym_a: NonNegativeFloat = 0.1  # sym_ce: of the cross-entropy
    sym_b: NonNegativeFloat = 1.0  # sym_ce: of the reverse cross-entropy
    sym_log_zero: float = Field(default=-4.0, lt=0)  # sym_ce: A, the logarithm of a label of 0
    jsd_unit: Literal["nats", "bits"] = "nats"  # largest value ln 2, or 1
    alpha: float = Field(default=0.5, gt=0, lt=1)  # geo_jsd: exponent of the prediction in the mean
    beta: NonNegativeFloat = 1.0  # geo_jsd: of KL(label ‖ prediction)
    gamma: NonNegativeFloat = 1.0  # geo_jsd: of KL(prediction ‖ label), the robust term
    noise_rate: float = Field(default=0.1, ge=0, lt=1)  # forward: share of wrong labels
    noise_kind: Literal["symmetric", "asymmetric"] = "symmetric"  # forward: where they go
    transition: tuple[tuple[NonNegativeFloat, ...], ...] | None = None  # forward: in place of both

    @model_validator(mode="after")
    def _transition_is_stochastic(self) -> Self:
        if self.transition is None:
            return self
        square = all(len(row) == len(self.transition) for row in self.transition)
        matrix = np.array(self.transition if square else [[0.0]])
        sums = np.abs(matrix.sum(axis=1) - 1) <= _SUM_ERROR
        if not (square and sums.all() and matrix.any(axis=0).all()):
            raise ValueError(
                "transition: not square, a row that does not sum to 1, or a column of zeros; "
                "expected P(label j | true class i) in row i. Divide each row by its sum"
            )
        return self

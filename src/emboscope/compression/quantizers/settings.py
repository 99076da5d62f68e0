"""How weights are quantized."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from emboscope.settings import Settings


class QuantizerSettings(Settings):
    """How weights are quantized. Every default stands here, or with its method where it says so."""

    profile: Literal["corrected", "released"] = "corrected"  # of ttq, attq, pttq
    threshold: float = Field(default=0.05, ge=0, lt=1)  # ttq: share of the largest weight
    t_min: float | None = None  # attq: μ + t_min·σ, by default −1; pttq: μ − t_min·σ, by default 1
    t_max: float | None = None  # attq, pttq: μ + t_max·σ, by default 0.5 and 1
    normalize: bool = False  # ttq, attq, pttq: latent weights over the largest
    symmetric: bool = False  # pttq: one threshold for both sides
    shared: bool = False  # pttq: the thresholds of all layers are the same
    statistics: bool = True  # pttq: thresholds in σ about μ; else in the unit of the weights
    steepness: PositiveFloat = 20.0  # pttq: of the slope at a threshold, over σ
    pressure: NonNegativeFloat = 0.0  # pttq: weight of the expected density in the loss
    alpha: PositiveFloat = 1000.0  # pttq as released, learned_pruning: of their sigmoids
    n_bits: PositiveInt = Field(default=1, le=8)  # dorefa
    rounding: Literal["nearest", "stochastic"] = "nearest"  # int8, int4: while training
    n_levels: int = Field(default=16, ge=2, le=256)  # codebook
    sparsity: float = Field(default=0.9, ge=0, lt=1)  # magnitude: share of zeros in a layer
    gradual: bool = False  # magnitude: the share rises during the fine-tuning

"""Quantizers: parametrizations that show a layer fewer bits, and learn the full ones."""

from emboscope.compression.quantizers import levels, pruning, ternary  # each registers its own
from emboscope.compression.quantizers.contract import QUANTIZERS, Quantizer
from emboscope.compression.quantizers.layers import (
    quantize,
    quantized_layers,
    settle,
    weight_name,
    weight_of,
    weighted_layers,
)
from emboscope.compression.quantizers.settings import QuantizerSettings

__all__ = [
    "QUANTIZERS",
    "Quantizer",
    "QuantizerSettings",
    "levels",
    "pruning",
    "quantize",
    "quantized_layers",
    "settle",
    "ternary",
    "weight_name",
    "weight_of",
    "weighted_layers",
]

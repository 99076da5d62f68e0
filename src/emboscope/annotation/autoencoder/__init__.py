"""Networks that turn images into features without labels, and their training."""

from emboscope.annotation.autoencoder.conv import ConvAutoEncoder, train_autoencoder
from emboscope.annotation.autoencoder.settings import PAPER, AutoEncoderSettings
from emboscope.annotation.autoencoder.training import encode

__all__ = ["PAPER", "AutoEncoderSettings", "ConvAutoEncoder", "encode", "train_autoencoder"]

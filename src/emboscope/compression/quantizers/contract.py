"""What every quantizer is: a parametrization that shows a layer other weights than it learns."""

from torch import Tensor, nn

from emboscope.compression.quantizers.settings import QuantizerSettings
from emboscope.registry import Registry


class Quantizer(nn.Module):
    """Latent weights in, the weights of the layer out, in training and evaluation alike.

    Parameters
    ----------
    weight : Tensor, any shape
        The trained weights, from which it starts.
    settings : QuantizerSettings, optional
    """

    def __init__(self, weight: Tensor, settings: QuantizerSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or QuantizerSettings()

    def start(self, t_min: float, t_max: float) -> tuple[float, float]:
        """The thresholds of the settings, or these."""
        settings = self.settings
        return (
            t_min if settings.t_min is None else settings.t_min,
            t_max if settings.t_max is None else settings.t_max,
        )

    def forward(self, weight: Tensor) -> Tensor:
        """The weights that the layer computes with."""
        raise NotImplementedError


QUANTIZERS: Registry[type[Quantizer]] = Registry("quantizer")

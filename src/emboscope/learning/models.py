"""Networks by name: an encoder with its head, or several of them fused."""

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from emboscope.errors import DataError
from emboscope.learning.architecture import Encoder, Network, NetworkSettings, Standardize
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.fusion import LateFusion
from emboscope.registry import Registry

Shapes = Mapping[str, tuple[int, ...]]  # of one sample, by view


class EncoderClassifier(Network):
    """One view, standardized, encoded, classified."""

    def __init__(self, encoder: Encoder, n_classes: int) -> None:
        super().__init__()
        self.view = encoder.view
        self.standardize = Standardize()
        self.encoder = encoder
        self.head = encoder.head(n_classes)

    def forward(self, views: dict[str, Tensor]) -> Tensor:
        """Logits (batch, class)."""
        return self.head(self.encoder(self.standardize(views[self.view])))


def encoder_classifier(
    name: str, shapes: Shapes, n_classes: int, settings: NetworkSettings
) -> EncoderClassifier:
    """The network of one encoder, by its name in `ENCODERS`."""
    kind = ENCODERS[name]
    if kind.view not in shapes:
        raise DataError(
            f"{name}: the data has {', '.join(shapes)}; expected the view '{kind.view}'. Give it, "
            "or a front end that makes it."
        )
    return EncoderClassifier(kind(shapes[kind.view], settings), n_classes)


def hybrid_late(shapes: Shapes, n_classes: int, settings: NetworkSettings) -> LateFusion:
    """Late fusion of the members named by the settings."""
    members = [encoder_classifier(name, shapes, n_classes, settings) for name in settings.members]
    return LateFusion(list(members), n_classes)


Builder = Callable[[Shapes, int, NetworkSettings], Network]
MODELS: Registry[Builder] = Registry("model")
for _name in ENCODERS:
    MODELS[_name] = functools.partial(encoder_classifier, _name)
MODELS["hybrid_late"] = MODELS["hybrid"] = hybrid_late


def build_network(
    model: str,
    shapes: Shapes,
    n_classes: int,
    settings: NetworkSettings | None = None,
    seed: int = 0,
) -> Network:
    """A network with the initial weights of a seed; the caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[model](shapes, n_classes, settings or NetworkSettings())


def views_of(network: nn.Module) -> tuple[str, ...]:
    """The views that a network reads, in order."""
    parts = (part.view for part in network.modules() if isinstance(part, EncoderClassifier))
    return tuple(dict.fromkeys(parts))

"""Networks by name: an encoder with its head, or several of them fused."""

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import (
    Branch,
    Encoder,
    LinearHead,
    Network,
    NetworkSettings,
    Outputs,
    projection_head,
)
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.fusion import IntermediateFusion, LateFusion
from emboscope.registry import Registry

Shapes = Mapping[str, tuple[int, ...]]  # of one sample, by view


class EncoderClassifier(Network):
    """One view, standardized, encoded, classified."""

    def __init__(self, branch: Branch, n_classes: int) -> None:
        super().__init__()
        self.branch = branch
        self.head = branch.encoder.head(n_classes)
        self.n_embedding = branch.encoder.n_features

    def outputs(self, views: Mapping[str, Tensor], present: Tensor | None = None) -> Outputs:
        """One pass; there is no other member, so `present` is of no use here."""
        features = self.branch(views)
        return Outputs((self.head(features),), (features,), (features,), features)


def branch(member: str, shapes: Shapes, settings: NetworkSettings) -> Branch:
    """An encoder on its view, from `ENCODER`, or `ENCODER:VIEW` for another view of its kind.

    Raises
    ------
    DataError
        If the data has no such view, or one of another shape.
    SettingsError
        If the encoder is unknown.
    """
    name, _, view = member.partition(":")
    kind: type[Encoder] = ENCODERS[name]
    view = view or kind.view
    if view not in shapes:
        raise DataError(
            f"{member}: the data has {', '.join(shapes)}; expected the view '{view}'. Give it, "
            "or a front end that makes it."
        )
    return Branch(kind(shapes[view], settings), view)


def encoder_classifier(
    name: str, shapes: Shapes, n_classes: int, settings: NetworkSettings
) -> EncoderClassifier:
    """The network of one encoder, by its name in `ENCODERS`."""
    return EncoderClassifier(branch(name, shapes, settings), n_classes)


def hybrid_late(shapes: Shapes, n_classes: int, settings: NetworkSettings) -> LateFusion:
    """Late fusion of the members named by the settings."""
    members = [encoder_classifier(name, shapes, n_classes, settings) for name in _members(settings)]
    return LateFusion(members, n_classes)


def hybrid_intermediate(
    fusion: str, shapes: Shapes, n_classes: int, settings: NetworkSettings
) -> IntermediateFusion:
    """Fusion of the members' projections, by its name in `FUSIONS`."""
    branches = [branch(name, shapes, settings) for name in _members(settings)]
    width = settings.fusion_width
    combination = FUSIONS[fusion](len(branches), width)
    if settings.fusion_projection is None:
        head: nn.Module = LinearHead(
            combination.n_out, n_classes, settings.dropout, settings.profile
        )
    else:
        head = projection_head(combination.n_out, settings.fusion_projection, n_classes)
    return IntermediateFusion(branches, combination, head, width)


def _members(settings: NetworkSettings) -> tuple[str, ...]:
    if len(settings.members) < 2:
        raise SettingsError(
            f"network.members: {len(settings.members)}; expected at least 2 to be fused. Name "
            "more, or choose the encoder itself as model."
        )
    return settings.members


Builder = Callable[[Shapes, int, NetworkSettings], Network]
MODELS: Registry[Builder] = Registry("model")
for _name in ENCODERS:
    MODELS[_name] = functools.partial(encoder_classifier, _name)
MODELS["hybrid_late"] = MODELS["hybrid"] = hybrid_late
for _name in FUSIONS:
    MODELS[f"hybrid_{_name}"] = functools.partial(hybrid_intermediate, _name)


def build_network(
    model: str,
    shapes: Shapes,
    n_classes: int,
    settings: NetworkSettings | None = None,
    seed: int = 0,
) -> Network:
    """A network with the initial weights of a seed; the caller's random state is left alone.

    `model` is a name in `MODELS`, or `ENCODER:VIEW`, an encoder on another view of its kind.
    """
    build = functools.partial(encoder_classifier, model) if ":" in model else MODELS[model]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(shapes, n_classes, settings or NetworkSettings())


def views_of(network: Network) -> tuple[str, ...]:
    """The views that a network reads, in order."""
    return tuple(dict.fromkeys(part.view for part in network.branches))

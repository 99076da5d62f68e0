"""What a training minimizes: every term of the loss, from one pass of the network."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emboscope.errors import SettingsError
from emboscope.learning.architecture import LinearHead, Network, Outputs, Penalized, Scheduled
from emboscope.learning.losses import Criterion, criterion, small_loss_weights
from emboscope.learning.losses.targets import known_rows
from emboscope.learning.regularizers import (
    DeepEmbeddedClustering,
    link_constraints,
    supervised_contrastive,
)
from emboscope.learning.settings import TrainSettings

Views = dict[str, Tensor]


class Labels(NamedTuple):
    """What the rows of a batch are to become; mixed rows have two targets.

    Attributes
    ----------
    y, partner : Tensor
        Classes (batch,) or distributions (batch, class): of a row, and of the one mixed into it.
    share : float
        Of the row itself in the mixture.
    weight, partner_weight : Tensor, shape (batch,), optional
        How much a row counts.
    """

    y: Tensor
    partner: Tensor
    share: float = 1.0
    weight: Tensor | None = None
    partner_weight: Tensor | None = None

    @property
    def classes(self) -> Tensor:
        """The class of the larger part of each mixture, (batch,)."""
        y = self.y if self.share >= 0.5 else self.partner
        return y.argmax(dim=1) if y.ndim == 2 else y


@dataclass(frozen=True)
class Teacher:
    """A trained network whose probabilities another one learns too [1]_.

    Attributes
    ----------
    network : Network
        Of the same classes; it reads the views of the batch that it needs. It is run in evaluation
        mode, and not changed.
    temperature : float
        Both logits are divided by it.
    weight : float
        Of the distance from the teacher, times the squared temperature; the labels have the rest.
    by_member : bool
        Each member learns from the same one of the teacher, which is the same network before it
        was changed; otherwise all learn from the teacher's decision.

    References
    ----------
    .. [1] Hinton, G., Vinyals, O., Dean, J. (2015). Distilling the knowledge in a neural network.
    """

    network: Network
    temperature: float
    weight: float
    by_member: bool = True

    def distance(self, views: Views, logits: tuple[Tensor, ...]) -> Tensor:
        """Weighted divergence of the probabilities, summed over the logits: one pass."""
        with torch.no_grad():
            outputs = self.network.eval().outputs(views)
            taught = outputs.logits
            if not self.by_member:
                taught = (self.network.decide(outputs),) * len(logits)
        parts = [
            nn.functional.kl_div(
                (own / self.temperature).log_softmax(1),
                (given / self.temperature).log_softmax(1),
                reduction="batchmean",
                log_target=True,
            )
            for own, given in zip(logits, taught, strict=True)
        ]
        return self.weight * self.temperature**2 * torch.stack(parts).sum()


class Objective(nn.Module):
    """A network with all that only its training needs: guiding heads and cluster centers.

    The loss is Σ CE(logits) + Σ_m w_m·CE(guide_m) + γ·DEC + λ·links + contrastive
    + Σ penalties of the network's own parts, where CE stands
    for the loss of the settings. All terms read the outputs of one pass of the encoders [1]_.
    With a teacher of weight w the first term counts 1 − w, and that of the teacher is added.

    Parameters
    ----------
    network : Network
    n_classes : int
    settings : TrainSettings
    teacher : Teacher, optional

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    clustering: DeepEmbeddedClustering | None

    def __init__(
        self,
        network: Network,
        n_classes: int,
        settings: TrainSettings,
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.teacher = teacher  # no part of it: neither trained nor kept
        self.settings = settings
        self.loss = criterion(settings.loss, settings.loss_settings)
        self.warm = criterion("ce", settings.loss_settings)
        self.guided = settings.regularizers.guided_weights(len(network.branches))
        if self.guided and len(self.guided) != len(network.branches):
            raise SettingsError(
                f"regularizers.guided: {len(self.guided)} weights; expected one, or one for each "
                f"of the {len(network.branches)} members."
            )
        self.guides = nn.ModuleList(_guides(network, n_classes) if self.guided else [])
        self._penalized = tuple(
            part for part in network.modules() if isinstance(part, Penalized) and part.pressed
        )
        self._scheduled = tuple(part for part in network.modules() if isinstance(part, Scheduled))
        self.clustering = None
        if settings.regularizers.clusters:
            self.clustering = DeepEmbeddedClustering(
                n_classes, network.n_embedding, settings.regularizers
            )

    @property
    def own_parameters(self) -> list[nn.Parameter]:
        """Of what only training needs."""
        parts = [self.guides] if self.clustering is None else [self.guides, self.clustering]
        return [parameter for part in parts for parameter in part.parameters()]

    def advance(self, share: float) -> None:
        """Tell the parts of the network that want it which share of all steps is done."""
        for part in self._scheduled:
            part.advance(share)

    def forward(
        self, views: Views, labels: Labels, class_weights: Tensor | None, warm: bool
    ) -> dict[str, Tensor]:
        """Each weighted term of the loss by name; their sum is to be minimized.

        Parameters
        ----------
        views : dict of Tensor
        labels : Labels
        class_weights : Tensor, shape (class,), optional
        warm : bool
            Whether the cross-entropy stands in for the loss of the settings.
        """
        outputs = self.network.outputs(views, self._present(views))
        loss = self.warm if warm else self.loss
        kept = 1.0 if warm else self.settings.kept_share

        def classify(logits: Tensor) -> Tensor:
            value = labels.share * _mean(loss, logits, labels.y, class_weights, labels.weight, kept)
            if labels.share < 1:
                other = _mean(
                    loss, logits, labels.partner, class_weights, labels.partner_weight, kept
                )
                value = value + (1 - labels.share) * other
            return value

        terms = {"labels": torch.stack([classify(logits) for logits in outputs.logits]).sum()}
        if self.teacher is not None:
            terms["labels"] = (1 - self.teacher.weight) * terms["labels"]
            terms["teacher"] = self.teacher.distance(views, outputs.logits)
        if self.guided:
            read = outputs.features if self._at_encoder else outputs.projected
            guides = zip(self.guided, self.guides, read, strict=True)
            weighted = [weight * classify(guide(part)) for weight, guide, part in guides]
            terms["guided"] = torch.stack(weighted).sum()
        if self._penalized:
            terms["density"] = torch.stack([part.penalty() for part in self._penalized]).sum()
        return {**terms, **self._structure(outputs, labels)}

    def _structure(self, outputs: Outputs, labels: Labels) -> dict[str, Tensor]:
        """The terms on the embedding."""
        settings, terms = self.settings.regularizers, {}
        if self.clustering is not None and bool(self.clustering.started):
            terms["dec"] = settings.dec * self.clustering(outputs.embedding)
        if settings.links:
            terms["links"] = settings.links * link_constraints(outputs.embedding, labels.classes)
        if settings.contrastive:
            terms["contrastive"] = settings.contrastive * supervised_contrastive(
                outputs.embedding, labels.classes, settings.contrastive_temperature
            )
        return terms

    @property
    def _at_encoder(self) -> bool:
        return self.network.branches[0].encoder.settings.guide_at == "encoder"

    def _present(self, views: Views) -> Tensor | None:
        """Which members each row may be seen by, (batch, member): one at least."""
        chance = self.settings.modality_dropout
        if not chance or len(self.network.branches) < 2:
            return None
        first = next(iter(views.values()))
        size = (len(first), len(self.network.branches))
        drawn = torch.rand(size, device=first.device)
        return (drawn >= chance) | (drawn == drawn.amax(dim=1, keepdim=True))


def _mean(
    loss: Criterion,
    logits: Tensor,
    y: Tensor,
    class_weights: Tensor | None,
    weight: Tensor | None,
    kept: float,
) -> Tensor:
    """The loss of a batch, of the rows of smallest loss alone where only a share is kept."""
    if kept < 1:
        chosen = small_loss_weights(loss.each(logits, y), kept, known_rows(y))
        weight = chosen if weight is None else chosen * weight
    return loss(logits, y, class_weights, weight)


def _guides(network: Network, n_classes: int) -> list[nn.Module]:
    """A classifier for each member, on its features or on its projection."""
    encoders = [branch.encoder for branch in network.branches]
    if encoders[0].settings.guide_at == "encoder":
        return [encoder.guide(n_classes) for encoder in encoders]
    settings = encoders[0].settings
    widths = network.projected_widths
    return [LinearHead(width, n_classes, settings.dropout, settings.profile) for width in widths]

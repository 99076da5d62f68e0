"""Networks of several members: fused before the decision, or after it."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from emboscope.errors import DataError
from emboscope.learning.architecture import Branch, Network, Outputs
from emboscope.learning.combinations import Combination

_N_STEPS = 50  # of L-BFGS, which needs about ten


class LateFusion(Network):
    """Mixture of the members' probabilities with weights by class [1]_.

    o_k = Σ_m w_mk·p_mk, where each class's weights over the members are a softmax and sum to 1; the
    output is log(o_k / Σ o). The members are trained alone; `fit_weights` then sets the weights on
    held-out rows. Until then they are equal. A member whose view is missing is left out, and the
    weights of the others sum to 1 again.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). An hybrid
       CNN-Transformer model based on multi-feature extraction and attention fusion mechanism for
       cerebral emboli classification. Machine Learning for Healthcare.
    """

    scores: Tensor

    def __init__(self, members: Sequence[Network], n_classes: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.scores = nn.Parameter(torch.zeros(len(members), n_classes), requires_grad=False)
        self.n_embedding = sum(member.n_embedding for member in members)

    @property
    def weights(self) -> Tensor:
        """Weight of each member for each class, shape (member, class)."""
        return self.scores.softmax(dim=0)

    def outputs(self, views: Mapping[str, Tensor], present: Tensor | None = None) -> Outputs:
        """One pass; logits and features of an absent member are zeros."""
        present = merged_presence(self.branches, views, present)
        size, like = _batch(views)
        logits, features = [], []
        for member, branch in zip(self.members, self.branches, strict=True):
            if branch.view in views:
                part = cast(Network, member).outputs(views)
                logits.append(part.logits[0])
                features.append(part.embedding)
            else:
                logits.append(like.new_zeros(size, self.scores.shape[1]))
                features.append(like.new_zeros(size, branch.encoder.n_features))
        seen = tuple(features)
        return Outputs(tuple(logits), seen, seen, torch.cat(seen, dim=1), present)

    def shares(self, outputs: Outputs) -> Tensor:
        """Those of each class, over the members that are there."""
        present = outputs.present
        if present is None:
            return self.weights.expand(len(outputs.embedding), -1, -1)
        return _shown(self.scores, present).softmax(dim=1)

    def decide(self, outputs: Outputs) -> Tensor:
        """Log-probabilities (batch, class)."""
        return _mix(torch.stack(outputs.logits, dim=1), self.scores, outputs.present)

    @torch.no_grad()
    def fit_weights(self, logits: Tensor, y: Tensor, penalty: float = 1e-3) -> None:
        """Least negative log-likelihood of the mixture on held-out rows.

        Parameters
        ----------
        logits : Tensor, shape (n_samples, member, class)
        y : Tensor of int, shape (n_samples,)
        penalty : float
            Of the mean squared score: a member that is never wrong keeps a finite weight. More of
            it draws the weights together, where the rows come from few patients.
        """
        scores = torch.zeros(self.scores.shape, device=logits.device, requires_grad=True)
        optimizer = torch.optim.LBFGS([scores], max_iter=_N_STEPS, line_search_fn="strong_wolfe")

        @torch.enable_grad()
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = functional.nll_loss(_mix(logits, scores, None), y)
            loss = loss + penalty * scores.square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        self.scores.copy_(scores)


class IntermediateFusion(Network):
    """Each member's features, normalized and projected; then combined; then one head [1]_.

    h_m = Linear(LayerNorm(e_m)), h = combination(h_1 … h_M), logits = head(h).

    Parameters
    ----------
    branches : sequence of Branch
    combination : Combination
    head : Module
        From (batch, combination.n_out) to logits.
    width : int
        Of the projections.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    def __init__(
        self, branches: Sequence[Branch], combination: Combination, head: nn.Module, width: int
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(branches)
        self.projections = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(branch.encoder.n_features), nn.Linear(branch.encoder.n_features, width)
            )
            for branch in branches
        )
        self.combination = combination
        self.head = head
        self.width = width
        self.n_embedding = combination.n_out

    @property
    def projected_widths(self) -> list[int]:
        """One width for all members."""
        return [self.width] * len(self.members)

    def outputs(self, views: Mapping[str, Tensor], present: Tensor | None = None) -> Outputs:
        """One pass; features and projections of an absent member are zeros."""
        present = merged_presence(self.branches, views, present)
        size, like = _batch(views)
        features, projected = [], []
        for branch, projection in zip(self.branches, self.projections, strict=True):
            if branch.view in views:
                features.append(branch(views))  # (batch, n_features)
                projected.append(projection(features[-1]))  # (batch, width)
            else:
                features.append(like.new_zeros(size, branch.encoder.n_features))
                projected.append(like.new_zeros(size, self.width))
        embedding = self.combination(*_stacked(projected, present))  # (batch, n_out)
        return Outputs(
            (self.head(embedding),), tuple(features), tuple(projected), embedding, present
        )

    def shares(self, outputs: Outputs) -> Tensor | None:
        """Those of the combination, the same for each class; None where it has none."""
        shares = self.combination.shares(*_stacked(outputs.projected, outputs.present))
        n_classes = outputs.logits[0].shape[1]
        return None if shares is None else shares[:, :, None].expand(-1, -1, n_classes)


def _stacked(parts: Sequence[Tensor], present: Tensor | None) -> tuple[Tensor, Tensor]:
    """Projections (batch, member, width), and which of them are there (batch, member)."""
    stacked = torch.stack(tuple(parts), dim=1)
    everyone = torch.ones_like(stacked[:, :, 0], dtype=torch.bool)
    return stacked, everyone if present is None else present


def merged_presence(
    branches: Sequence[Branch], views: Mapping[str, Tensor], present: Tensor | None
) -> Tensor | None:
    """Which members are seen, (batch, member): their view is there, and it is not dropped.

    Raises
    ------
    DataError
        If no member has its view.
    """
    there = [branch.view in views for branch in branches]
    if not any(there):
        names = ", ".join(dict.fromkeys(branch.view for branch in branches))
        raise DataError(f"views: {', '.join(views) or 'none'}; expected one of {names}. Give one.")
    if all(there):
        return present
    size, like = _batch(views)
    found = torch.tensor(there, device=like.device).expand(size, -1)
    return found if present is None else found & present


def _batch(views: Mapping[str, Tensor]) -> tuple[int, Tensor]:
    """Number of samples, and a tensor of their kind."""
    first = next(iter(views.values()))
    return len(first), first


def _shown(scores: Tensor, present: Tensor) -> Tensor:
    """Scores of the members that are there, −∞ of the others; (batch, member, class)."""
    return scores.masked_fill(~present[:, :, None], float("-inf"))


def _mix(logits: Tensor, scores: Tensor, present: Tensor | None) -> Tensor:
    """Log of the renormalized mixture, in log space; logits (batch, member, class)."""
    log_p = logits.log_softmax(dim=2)
    log_w = scores.log_softmax(dim=0)[None]  # (1, member, class)
    if present is not None:
        log_w = _shown(scores, present).log_softmax(dim=1)  # (batch, member, class)
    log_mixed = (log_p + log_w).logsumexp(dim=1)
    return log_mixed.log_softmax(dim=1)  # (batch, class)

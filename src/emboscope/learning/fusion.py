"""Late fusion: the members keep their own decision, and each class has its own weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from emboscope.learning.architecture import Network

_N_STEPS = 50  # of L-BFGS, which needs about ten


class LateFusion(Network):
    """Mixture of the members' probabilities with weights by class [1]_.

    o_k = Σ_m w_mk·p_mk, where each class's weights over the members are a softmax and sum to 1; the
    output is log(o_k / Σ o). The members are trained alone; `fit_weights` then sets the weights on
    held-out rows. Until then they are equal.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). An hybrid
       CNN-Transformer model based on multi-feature extraction and attention fusion mechanism for
       cerebral emboli classification. Machine Learning for Healthcare.
    """

    def __init__(self, members: list[nn.Module], n_classes: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.scores = nn.Parameter(torch.zeros(len(members), n_classes), requires_grad=False)

    @property
    def weights(self) -> Tensor:
        """Weight of each member for each class, shape (member, class)."""
        return self.scores.softmax(dim=0)

    def member_logits(self, views: dict[str, Tensor]) -> list[Tensor]:
        """Logits (batch, class) of each member: each is trained on its own."""
        return [member(views) for member in self.members]

    def forward(self, views: dict[str, Tensor]) -> Tensor:
        """Log-probabilities (batch, class)."""
        return _mix(torch.stack(self.member_logits(views), dim=1), self.scores)

    @torch.no_grad()
    def fit_weights(self, logits: Tensor, y: Tensor) -> None:
        """Least negative log-likelihood of the mixture on held-out rows.

        Parameters
        ----------
        logits : Tensor, shape (n_samples, member, class)
        y : Tensor of int, shape (n_samples,)
        """
        scores = torch.zeros_like(self.scores, requires_grad=True)
        optimizer = torch.optim.LBFGS([scores], max_iter=_N_STEPS, line_search_fn="strong_wolfe")

        @torch.enable_grad()
        def closure() -> Tensor:
            optimizer.zero_grad()
            penalty = 1e-3 * scores.square().mean()  # keeps a member that is never wrong finite
            loss = functional.nll_loss(_mix(logits, scores), y) + penalty
            loss.backward()
            return loss

        optimizer.step(closure)
        self.scores.copy_(scores)


def _mix(logits: Tensor, scores: Tensor) -> Tensor:
    """Log of the renormalized mixture, in log space; logits (batch, member, class)."""
    log_mixed = (logits.log_softmax(dim=2) + scores.log_softmax(dim=0)).logsumexp(dim=1)
    return log_mixed.log_softmax(dim=1)  # (batch, class)

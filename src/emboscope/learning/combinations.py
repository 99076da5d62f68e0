"""How the projections of several members become one embedding, whichever of them are there."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from emboscope.registry import Registry


class Combination(nn.Module):
    """Projections (batch, member, width) in, an embedding (batch, n_out) out.

    Where a member is absent its projection has no influence: every rule below is then the rule of
    the members that are left.

    Attributes
    ----------
    n_out : int
        Width of the embedding.
    """

    n_out: int

    def __init__(self, n_members: int, width: int) -> None:
        super().__init__()
        self.n_members = n_members
        self.n_out = width

    def shares(self, parts: Tensor, present: Tensor) -> Tensor | None:
        """Weight of each member in each sample, (batch, member), rows of sum 1; None: it has none.

        Parameters
        ----------
        parts : Tensor, shape (batch, member, width)
        present : Tensor of bool, shape (batch, member)
        """
        return None

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """Σ_m w_m·h_m of the shares."""
        shares = self.shares(parts, present)
        if shares is None:
            raise NotImplementedError
        return torch.einsum("bmw,bm->bw", parts, shares)


class Concatenation(Combination):
    """All projections side by side; zeros for an absent member."""

    def __init__(self, n_members: int, width: int) -> None:
        super().__init__(n_members, width)
        self.n_out = n_members * width

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """(batch, member·width)."""
        return (parts * present[:, :, None]).flatten(1)  # (batch, member·width)


class Sum(Combination):
    """Sum of the projections, scaled up for those that are absent."""

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """(batch, width)."""
        total = (parts * present[:, :, None]).sum(dim=1)  # (batch, width)
        return total * self.n_members / present.sum(dim=1, keepdim=True)


class Product(Combination):
    """Product of the projections, member by member; an absent one counts as 1."""

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """(batch, width)."""
        return torch.where(present[:, :, None], parts, 1.0).prod(dim=1)  # (batch, width)


class WeightedSum(Combination):
    """Σ_m w_m·h_m with w = softmax(a): one learned weight a member for all samples [1]_.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    def __init__(self, n_members: int, width: int) -> None:
        super().__init__(n_members, width)
        self.scores = nn.Parameter(torch.zeros(n_members))

    def shares(self, parts: Tensor, present: Tensor) -> Tensor:
        """The same in each sample that has the same members."""
        return _softmax(self.scores.expand(len(parts), -1), present)


class GatedAttention(Combination):
    """Σ_m w_m·h_m, w = softmax(vᵀ[tanh(V h_m) ⊙ σ(U h_m)]): weights of each sample's own [1]_.

    References
    ----------
    .. [1] Ilse, M., Tomczak, J. M., Welling, M. (2018). Attention-based deep multiple instance
       learning. ICML. Equation 9.
    """

    def __init__(self, n_members: int, width: int) -> None:
        super().__init__(n_members, width)
        self.value = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def shares(self, parts: Tensor, present: Tensor) -> Tensor:
        """Of each sample by what its projections are."""
        gated = torch.tanh(self.value(parts)) * torch.sigmoid(self.gate(parts))
        return _softmax(self.score(gated)[:, :, 0], present)  # (batch, member)


def _softmax(scores: Tensor, present: Tensor) -> Tensor:
    """Softmax over the members that are present, (batch, member)."""
    return scores.masked_fill(~present, float("-inf")).softmax(dim=1)


FUSIONS: Registry[Callable[[int, int], Combination]] = Registry("fusion")
FUSIONS["concat"] = Concatenation
FUSIONS["sum"] = Sum
FUSIONS["weighted"] = WeightedSum
FUSIONS["product"] = Product
FUSIONS["gated"] = GatedAttention

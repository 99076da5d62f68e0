"""What a network says of many rows, in evaluation mode and in batches."""

from collections.abc import Callable

import torch
from torch import Tensor

from emboscope.learning.architecture import Network

_BATCH = 512  # rows of one pass without gradient

Views = dict[str, Tensor]


@torch.no_grad()
def read(network: Network, views: Views, what: Callable[[Views], Tensor]) -> Tensor:
    """What a function of a batch of views gives for all rows, on the CPU, (n_samples, …)."""
    network.eval()
    device = next(network.parameters()).device
    n_samples = len(next(iter(views.values())))
    parts = []
    for rows in torch.arange(n_samples).split(_BATCH):
        batch = {name: view[rows].to(device) for name, view in views.items()}
        parts.append(what(batch).cpu())
    return torch.cat(parts)


def read_members(network: Network, views: Views) -> Tensor:
    """Logits of all rows, of each that is trained, (n_samples, member, class)."""
    return read(network, views, lambda batch: torch.stack(network.member_logits(batch), dim=1))


def read_embeddings(network: Network, views: Views) -> Tensor:
    """Embeddings of all rows, (n_samples, width)."""
    return read(network, views, lambda batch: network.outputs(batch).embedding)


def read_projected(network: Network, views: Views) -> list[Tensor]:
    """What each member gives to the fusion, of all rows, (n_samples, width) each."""
    widths = network.projected_widths
    side_by_side = read(
        network, views, lambda batch: torch.cat(network.outputs(batch).projected, dim=1)
    )
    return list(side_by_side.split(widths, dim=1))

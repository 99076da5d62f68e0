"""Statistics of batch normalization, estimated anew for weights that were rounded."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from emboscope.compression.noise_views import simulated_views
from emboscope.learning.architecture import Network
from emboscope.learning.loop import Task
from emboscope.registry import Registry

_BATCH = 128
_N_SIMULATED = 1024  # signals
_BatchNorm = nn.modules.batchnorm._BatchNorm

STATISTICS: Registry[Callable[[Task], None]] = Registry("statistics")


def keep(task: Task) -> None:
    """Leave the statistics of the full weights."""


def of_training(task: Task) -> None:
    """Those of the training part, without augmentation, in one pass; labels are not read."""
    rows = task.train
    parts = torch.arange(len(rows)).split(_BATCH)
    estimate(task.network, (_views(task, rows.batch(part).views) for part in parts))


def of_simulated(task: Task) -> None:
    """Those of `simulated_views`: nothing is read of the training part but its shape."""
    shown = _views(task, task.train.batch(torch.arange(1)).views)
    shapes = {name: tuple(view.shape[1:]) for name, view in shown.items()}
    made = simulated_views(task.network, shapes, _N_SIMULATED, task.seed)
    parts = torch.arange(_N_SIMULATED).split(_BATCH)
    estimate(task.network, ({name: view[part] for name, view in made.items()} for part in parts))


@torch.no_grad()
def estimate(network: Network, batches: Iterable[Mapping[str, Tensor]]) -> None:
    """Means of the statistics of batches, in place of those of a network's normalizations.

    Everything else of the network stays in evaluation mode.
    """
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    kept = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    for views in batches:
        network.outputs(views)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
        norm.eval()


def _views(task: Task, views: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the network reads."""
    return views if task.front_end is None else task.front_end.from_waveform(views["waveform"])


STATISTICS["kept"] = keep
STATISTICS["training"] = of_training
STATISTICS["simulated"] = of_simulated

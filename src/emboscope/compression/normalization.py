"""Statistics of batch normalization, estimated anew for weights that were rounded."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Network
from emboscope.learning.estimator import SignalClassifier
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


def simulated_views(
    network: Network, shapes: Mapping[str, tuple[int, ...]], n_rows: int, seed: int = 0
) -> dict[str, Tensor]:
    """Noise of power 1/f in place of each view that a network reads: without any data.

    Its mean and deviation are those by which the network standardizes the view.

    Parameters
    ----------
    network : Network
    shapes : mapping of tuple
        Of one row of each view; those that the network does not read are left out.
    n_rows : int
    seed : int

    Returns
    -------
    views : dict of Tensor
        (n_rows, *shape) each.
    """
    generator = torch.Generator().manual_seed(seed)
    branches = {branch.view: branch for branch in network.branches}
    return {
        name: pink_noise((n_rows, *shape), generator) * branches[name].standardize.sd
        + branches[name].standardize.mean
        for name, shape in shapes.items()
        if name in branches
    }


def simulated_rows(
    classifier: SignalClassifier, n_rows: int, front_end: bool = False
) -> dict[str, np.ndarray]:
    """What `simulated_views` makes for a classifier, as arrays.

    With the front end one waveform of noise is drawn, and all views are made of it; its deviation
    is 1 where the network does not read the waveform.

    Parameters
    ----------
    classifier : SignalClassifier
    n_rows : int
    front_end : bool

    Raises
    ------
    SettingsError
        If the front end has no waveform that tells the signal.
    """
    made = simulated_views(classifier.network_, classifier.shapes_, n_rows)
    chain = classifier.front_end
    if not front_end or chain is None:
        return {name: view.numpy() for name, view in made.items()}
    generator = torch.Generator().manual_seed(1)
    noise = pink_noise((n_rows, chain.n_channels, chain.n_times), generator)
    return chain.complete({"waveform": made.get("waveform", noise).numpy()})


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


def pink_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gaussian noise of power 1/f along the last axis, of mean 0 and deviation 1 in all."""
    spectrum = torch.fft.rfft(torch.randn(shape, generator=generator))
    frequency = torch.arange(spectrum.shape[-1]).clamp_min(1)
    noise = torch.fft.irfft(spectrum / frequency.sqrt(), shape[-1])
    return (noise - noise.mean()) / noise.std()


def _views(task: Task, views: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the network reads."""
    return views if task.front_end is None else task.front_end.from_waveform(views["waveform"])


STATISTICS["kept"] = keep
STATISTICS["training"] = of_training
STATISTICS["simulated"] = of_simulated

"""Noise in place of data: views with the statistics that a network keeps of its training part."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from emboscope.errors import SettingsError
from emboscope.learning.architecture import Network
from emboscope.learning.estimator import SignalClassifier


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
        `(n_rows, *shape)` each.

    Raises
    ------
    SettingsError
        If an encoder does not standardize its view, and so tells nothing of it.
    """
    generator = torch.Generator().manual_seed(seed)
    branches = {branch.view: branch for branch in network.branches}
    silent = [branch.view for branch in network.branches if not branch.encoder.standardized]
    if silent:
        raise SettingsError(
            f"simulated: the model keeps no mean and deviation of '{silent[0]}'; expected those of "
            "every view that it reads. Use training rows."
        )
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

    With the front end one waveform of noise is drawn, and all views are made of it. Its mean and
    deviation are those of the view `waveform`, or 0 and 1 where all views that the network reads
    stay the same for any gain.

    Parameters
    ----------
    classifier : SignalClassifier
    n_rows : int
    front_end : bool

    Raises
    ------
    SettingsError
        If the classifier does not tell the height of its signal, or the front end does not make
        all that it reads.
    """
    made = simulated_views(classifier.network_, classifier.shapes_, n_rows)
    chain = classifier.front_end
    if not front_end or chain is None:
        return {name: view.numpy() for name, view in made.items()}
    given = sorted(set(made) - set(chain.views))
    if given:
        raise SettingsError(
            f"simulated: the front end does not make '{given[0]}'; expected one that makes all "
            "views. Export without the front end."
        )
    waveform = made.get("waveform")
    if waveform is None:
        moved = [name for name in made if chain.views[name].gain != "invariant"]
        _check_any_gain(moved)
        generator = torch.Generator().manual_seed(0)
        waveform = pink_noise((n_rows, chain.n_channels, chain.n_times), generator)
    return chain.complete({"waveform": waveform.numpy()})


def pink_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Gaussian noise of power 1/f along the last axis, of mean 0 and deviation 1 in all."""
    spectrum = torch.fft.rfft(torch.randn(shape, generator=generator))
    frequency = torch.arange(spectrum.shape[-1]).clamp_min(1)
    noise = torch.fft.irfft(spectrum / frequency.sqrt(), shape[-1])
    return (noise - noise.mean()) / noise.std()


def _check_any_gain(moved: list[str]) -> None:
    """Refuse views that move with the gain of the signal."""
    if moved:
        raise SettingsError(
            f"simulated: the model reads '{moved[0]}', which moves with the gain, and no waveform "
            "that tells it. Use training rows, or leave the front end out."
        )

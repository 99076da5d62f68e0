"""The one training loop of encoders of images, and the pass that takes their codes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emboscope.annotation.autoencoder.network import ImageEncoder
from emboscope.annotation.autoencoder.settings import FeatureSettings
from emboscope.errors import DataError, SettingsError
from emboscope.progress import Progress


@dataclass(frozen=True)
class FeatureMethod:
    """One way to learn features.

    Attributes
    ----------
    title : str
        What the progress is called.
    settings : type of FeatureSettings
        Its settings; no other method has the same.
    network : callable
        `(shape, settings)` to the network, with random weights.
    loss : callable
        `(network, images in [0, 1])` to what training makes small.
    refine : callable, optional
        `(network, optimizer, images in [0, 1], progress)`: what follows the epochs of training.
    """

    title: str
    settings: type[FeatureSettings]
    network: Callable[..., ImageEncoder]
    loss: Callable[..., Tensor]
    refine: Callable[..., None] | None = None


def learn(
    method: FeatureMethod, images: np.ndarray, settings: FeatureSettings, progress: Progress
) -> ImageEncoder:
    """Train an encoder (Adamax) without any label.

    Parameters
    ----------
    method : FeatureMethod
    images : ndarray, shape (n_samples, n_channels, height, width)
        In any unit; the smallest and largest values are brought to 0 and 1.
    settings : FeatureSettings
        Of the kind that the method asks for.
    progress : callable
        Told each epoch.

    Returns
    -------
    network : ImageEncoder
        In evaluation mode. The same input, settings and thread count give the same weights; the
        global seed is left alone.

    Raises
    ------
    DataError
        If the images are not a finite batch of four dimensions with some contrast.
    SettingsError
        If the settings are those of another method.
    """
    if type(settings) is not method.settings:
        raise SettingsError(
            f"features: {type(settings).__name__} for the {method.title}; expected "
            f"{method.settings.__name__}. Give the settings of this method."
        )
    images = _batch_of_images(images)
    if len(images) < 2 or np.ptp(images) == 0:
        raise DataError(
            f"images: {len(images)} that are all alike; expected some contrast. Check the views."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = method.network(images.shape[1:], settings)
        network.low.fill_(float(images.min()))
        network.high.fill_(float(images.max()))
        _train(method, network, torch.from_numpy(images), progress)
    return network.eval()


def _train(
    method: FeatureMethod, network: ImageEncoder, images: Tensor, progress: Progress
) -> None:
    """All epochs; channels lie last in memory meanwhile, which convolutions run faster on."""
    settings = network.settings
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = network.scaled(images).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adamax(
        network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        foreach=True,
    )
    for epoch in range(settings.epochs):
        learn_once(network, optimizer, len(inputs), lambda rows: method.loss(network, inputs[rows]))
        progress(method.title, epoch + 1, settings.epochs)
    if method.refine:
        method.refine(network, optimizer, inputs, progress)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def learn_once(
    network: ImageEncoder,
    optimizer: torch.optim.Optimizer,
    n_samples: int,
    loss_of: Callable[[Tensor], Tensor],
) -> None:
    """One epoch, in a new order; the last incomplete batch waits for another epoch.

    Parameters
    ----------
    network : ImageEncoder
    optimizer : Optimizer
    n_samples : int
    loss_of : callable
        The indices of a batch to its loss.
    """
    network.train()
    order = torch.randperm(n_samples)
    batch = min(network.settings.batch, n_samples)
    for rows in order[: n_samples // batch * batch].split(batch):
        optimizer.zero_grad()
        loss_of(rows).backward()
        optimizer.step()


@torch.no_grad()
def encode(model: ImageEncoder, images: np.ndarray, batch: int = 256) -> np.ndarray:
    """The code of each image, in order, by one pass in evaluation mode.

    Parameters
    ----------
    model : ImageEncoder
        From `train_features` or `train_autoencoder`.
    images : ndarray, shape (n_samples, n_channels, height, width)
        In the unit of the training.
    batch : int
        Images at once, which bounds the memory.

    Returns
    -------
    codes : ndarray of float32, shape (n_samples, latent)

    Raises
    ------
    DataError
        If the images have another shape than those of the training.
    """
    images = _batch_of_images(images)
    if images.shape[1:] != model.shape:
        raise DataError(
            f"images: shape {images.shape[1:]}; expected {model.shape}, as in training. "
            "Compute the same representation."
        )
    model.eval()
    parts = torch.from_numpy(images).split(batch)
    return torch.cat([model.code(model.scaled(part)) for part in parts]).numpy()


def _batch_of_images(images: np.ndarray) -> np.ndarray:
    """The images as float32, or a refusal."""
    images = np.ascontiguousarray(images, dtype=np.float32)
    if images.ndim != 4 or not len(images):
        raise DataError(
            f"images: an array of shape {images.shape}; expected (n_samples, n_channels, height, "
            "width) with at least 1 sample. Add the channel axis."
        )
    if not np.isfinite(images).all():
        raise DataError("images: not finite; expected finite values. Remove those samples.")
    return images

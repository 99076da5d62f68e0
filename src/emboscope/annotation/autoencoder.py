"""The convolutional auto-encoder that turns images into 32 features without labels."""

import math
from itertools import pairwise

import numpy as np
import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.settings import Settings

_CHANNELS = (16, 32, 64)  # further stages keep the last
_LARGEST_CODE_SIDE = 4  # stages are added until both sides of the feature map fit


class AutoEncoderSettings(Settings):
    """How the auto-encoder is built and trained. Every default stands here and nowhere else."""

    latent: PositiveInt = 32
    epochs: NonNegativeInt = 20
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 5e-3
    weight_decay: NonNegativeFloat = 1e-5
    seed: int = 0


PAPER = AutoEncoderSettings(epochs=50, batch=32, learning_rate=0.05)


class ConvAutoEncoder(nn.Module):
    """Convolutional auto-encoder for images of one size [1]_.

    Each stage halves both sides, until neither is longer than 4; then a linear layer gives the
    code. The decoder mirrors it, ends in a sigmoid and is resized to the image. At (1, 20, 20) and
    (1, 28, 28) it has the published layers: 131,839 and 160,959 parameters.

    Parameters
    ----------
    shape : tuple of int
        (n_channels, height, width) of an image.
    latent : int
        Length of the code.
    low, high : float
        Image values that the network sees as 0 and 1; outside is clipped.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, shape: tuple[int, int, int], latent: int = 32, low: float = 0.0, high: float = 1.0
    ) -> None:
        super().__init__()
        self.shape = shape
        side, widths = max(shape[1:]), [shape[0]]
        while side > _LARGEST_CODE_SIDE:
            widths.append(_CHANNELS[min(len(widths), len(_CHANNELS)) - 1])
            side = math.ceil(side / 2)
        shrink = 2 ** (len(widths) - 1)
        self.folded = (widths[-1], math.ceil(shape[1] / shrink), math.ceil(shape[2] / shrink))
        down = [layer for pair in pairwise(widths) for layer in (_down(*pair), nn.LeakyReLU())]
        self.encoder = nn.Sequential(
            *down, nn.Flatten(), nn.Linear(math.prod(self.folded), latent), nn.LeakyReLU()
        )
        up = [layer for pair in pairwise(widths[::-1]) for layer in (_up(*pair), nn.LeakyReLU())]
        self.decoder = nn.Sequential(
            nn.Linear(latent, math.prod(self.folded)), nn.Unflatten(1, self.folded), *up[:-1]
        )
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))
        self.apply(_initialize)

    def scaled(self, images: Tensor) -> Tensor:
        """Image values brought to [0, 1]."""
        return ((images - self.low) / (self.high - self.low)).clamp(0, 1)

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction of images that are in [0, 1]."""
        code = self.encoder(images)  # (batch, latent)
        decoded = self.decoder(code).sigmoid()  # (batch, channel, height, width), both rounded up
        return functional.interpolate(decoded, size=self.shape[1:], mode="nearest")


def train_autoencoder(
    images: np.ndarray,
    settings: AutoEncoderSettings | None = None,
    progress: Progress = silent,
) -> ConvAutoEncoder:
    """Learn to rebuild the images (mean squared error, Adamax), without any label.

    Parameters
    ----------
    images : ndarray, shape (n_samples, n_channels, height, width)
        In any unit; the smallest and largest values are brought to 0 and 1. Only of those patients
        whose data may be learned from.
    settings : AutoEncoderSettings, optional
        `PAPER` holds the published ones.
    progress : callable
        Told each epoch.

    Returns
    -------
    model : ConvAutoEncoder
        In evaluation mode. The same input, settings and thread count give the same weights.

    Raises
    ------
    DataError
        If the images are not a finite batch of four dimensions with some contrast.
    """
    settings = settings or AutoEncoderSettings()
    images = _batch_of_images(images)
    n_channels, height, width = images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = ConvAutoEncoder(
            (n_channels, height, width),
            settings.latent,
            float(images.min()),
            float(images.max()),
        )
        optimizer = torch.optim.Adamax(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        inputs = model.scaled(torch.from_numpy(images))
        for epoch in range(settings.epochs):
            _learn_once(model, optimizer, inputs, settings.batch)
            progress("auto-encoder", epoch + 1, settings.epochs)
    return model.eval()


def _learn_once(
    model: ConvAutoEncoder, optimizer: torch.optim.Optimizer, inputs: Tensor, batch: int
) -> None:
    """One epoch, in a new order; the last incomplete batch waits for another epoch."""
    model.train()
    order = torch.randperm(len(inputs))
    batch = min(batch, len(inputs))
    for rows in order[: len(order) // batch * batch].split(batch):
        optimizer.zero_grad()
        loss = functional.mse_loss(model(inputs[rows]), inputs[rows])
        loss.backward()
        optimizer.step()


@torch.no_grad()
def encode(model: ConvAutoEncoder, images: np.ndarray, batch: int = 256) -> np.ndarray:
    """The code of each image, in order, by one pass in evaluation mode.

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
    return torch.cat([model.encoder(model.scaled(part)) for part in parts]).numpy()


def _down(n_in: int, n_out: int) -> nn.Sequential:
    """Half the size, rounded up."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=2, padding=1),
        _batch_norm(n_out),
        nn.LeakyReLU(),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        _batch_norm(n_out),
    )


def _up(n_in: int, n_out: int) -> nn.Sequential:
    """Twice the size."""
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, 2, stride=2),
        _batch_norm(n_out),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(n_out, n_out, 3, padding=1),
        _batch_norm(n_out),
    )


def _batch_norm(n_channels: int) -> nn.BatchNorm2d:
    """With the published eps; the published momentum of 0.99 is meant in the Keras convention."""
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.1)


def _initialize(module: nn.Module) -> None:
    """Xavier-normal weights of gain √2; biases of linear layers start at 0."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_normal_(module.weight, gain=math.sqrt(2))
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _batch_of_images(images: np.ndarray) -> np.ndarray:
    """The images as float32, or a refusal."""
    images = np.ascontiguousarray(images, dtype=np.float32)
    if images.ndim != 4 or len(images) < 2:
        raise DataError(
            f"images: an array of shape {images.shape}; expected (n_samples, n_channels, height, "
            "width) with at least 2 samples. Add the channel axis."
        )
    if not np.isfinite(images).all():
        raise DataError("images: not finite; expected finite values. Remove those samples.")
    if np.ptp(images) == 0:
        raise DataError("images: all values are equal; expected some contrast. Check the views.")
    return images

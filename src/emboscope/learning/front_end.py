"""The front end in torch: the same numbers, inside the training loop or an exported graph."""

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from emboscope.errors import SettingsError
from emboscope.representations.contract import REPRESENTATIONS
from emboscope.representations.front_end import FrontEnd, ViewSettings
from emboscope.representations.views import (
    CLIPS,
    EPSILON,
    LEAST_SD,
    RELEASED_DB,
    SILENCE,
    SpectrogramSettings,
    WaveformSettings,
    spread_frames,
    window,
)


class TorchSpectrogram(nn.Module):
    """The spectrogram as two matrix products, in double precision inside.

    Equal to `emboscope.representations.views.spectrogram` within 1e-4 dB (tested). A pixel with
    exactly no power is an exception in the released profile only.
    """

    real: Tensor
    imaginary: Tensor

    def __init__(self, settings: SpectrogramSettings) -> None:
        super().__init__()
        self.settings = settings
        n_fft, length = settings.n_fft, settings.frame_length
        shape = torch.from_numpy(window(settings)).double()
        rows = torch.arange(n_fft, dtype=torch.float64) - n_fft // 2
        angle = 2 * math.pi / n_fft * rows[:, None] * torch.arange(length)  # (freq, time)
        self.register_buffer("real", (angle.cos() * shape).T.contiguous(), False)
        self.register_buffer("imaginary", (-angle.sin() * shape).T.contiguous(), False)

    def forward(self, signal: Tensor) -> Tensor:
        """Image (batch, 1, freq, frame) of a signal (batch, 1 or 2, time)."""
        frames = self._frames(_scaled(signal.double(), self.settings.scaling))
        real, imaginary = frames[:, 0] @ self.real, frames[:, 0] @ self.imaginary
        if signal.shape[1] == 2:
            real = real - frames[:, 1] @ self.imaginary
            imaginary = imaginary + frames[:, 1] @ self.real
        if self.settings.reference == "background":
            image = self._over_background(real.square() + imaginary.square())
        else:
            image = self._clipped(real, imaginary)
        return image.transpose(1, 2)[:, None].to(signal.dtype)

    def _frames(self, signal: Tensor) -> Tensor:
        """Windows of the signal, (batch, channel, frame, time)."""
        length, n_frames = self.settings.frame_length, self.settings.n_frames
        if n_frames is None:
            return signal.unfold(-1, length, self.settings.hop)
        starts = torch.from_numpy(spread_frames(signal.shape[-1], length, n_frames)) + length
        index = starts[:, None] + torch.arange(length)
        return nn.functional.pad(signal, (length, length))[..., index.to(signal.device)]

    def _clipped(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """dB, clipped to [μ + aσ, μ + bσ] of each image."""
        profile = self.settings.profile
        if profile == "released":
            image = RELEASED_DB * real.square().log10()
            measured = torch.where(image.isfinite(), image, 0.0)
        else:
            power = real.square() + imaginary.square()
            floor = power.amax((1, 2), keepdim=True) if profile == "corrected" else 1.0
            floor = torch.as_tensor(EPSILON * floor, dtype=power.dtype)
            image = measured = 10 * (power + floor.clamp(min=SILENCE)).log10()
        low, high = CLIPS[profile]
        mean, sd = measured.mean((1, 2), keepdim=True), _sd(measured)
        return torch.minimum(torch.maximum(image, mean + low * sd), mean + high * sd)

    def _over_background(self, power: Tensor) -> Tensor:
        """dB over the median frame, clipped, z-scored in each image."""
        middle = _median(power.mean(2))  # (batch,)
        ratio = power / middle.clamp(min=SILENCE)[:, None, None]
        image = 10 * (ratio + SILENCE).log10()
        image = image.clamp(self.settings.floor_db, self.settings.ceiling_db)
        if self.settings.normalization == "none":
            return image
        return (image - image.mean((1, 2), keepdim=True)) / _sd(image).clamp(min=LEAST_SD)


class TorchFrontEnd(nn.Module):
    """From segments in the unit of the recordings to all views of a front end.

    Parameters
    ----------
    front_end : FrontEnd
    outside : bool
        Whether views that have no form in torch are computed outside of it: without a gradient,
        and not in a graph that is exported.
    only : collection of str, optional
        The views that are made; all of them otherwise.
    """

    def __init__(
        self, front_end: FrontEnd, outside: bool = False, only: Collection[str] | None = None
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.outside = outside
        self.only = frozenset(front_end.views if only is None else only)
        self.spectrograms = nn.ModuleDict({
            name: TorchSpectrogram(settings)
            for name, settings in front_end.views.items()
            if isinstance(settings, SpectrogramSettings)
        })

    def forward(self, signal: Tensor) -> dict[str, Tensor]:
        """Views of a signal (batch, channel, time)."""
        views = {}
        for name, settings in self.front_end.views.items():
            if name not in self.only:
                continue
            if isinstance(settings, SpectrogramSettings):
                views[name] = self.spectrograms[name](signal)
            elif isinstance(settings, WaveformSettings):
                views[name] = _scaled(signal / settings.unit_divisor, settings.scaling)
            elif self.outside:
                views[name] = self._outside(signal, settings)
            else:
                raise SettingsError(
                    f"front_end.views: '{name}' ({settings.kind}) has no form in torch; expected "
                    "waveform and spectrogram alone. Compute it beforehand."
                )
        return views

    def _outside(self, signal: Tensor, settings: ViewSettings) -> Tensor:
        """A view by its function in numpy."""
        compute = REPRESENTATIONS[settings.kind]
        made = compute(signal.detach().cpu().double().numpy(), settings, self.front_end.sfreq)
        return torch.from_numpy(made).to(signal.device)

    def from_waveform(self, waveform: Tensor) -> dict[str, Tensor]:
        """The views of the view `waveform`."""
        settings = self.front_end.views.get("waveform")
        if not isinstance(settings, WaveformSettings):
            raise SettingsError(
                "front_end.views: no 'waveform'; expected one to make the others of. Add it."
            )
        return self(waveform * settings.unit_divisor)


def twin_of(
    front_end: FrontEnd | None, augmented: bool, only: Collection[str] | None = None
) -> TorchFrontEnd | None:
    """The front end, where the views are to be made of the waveform, augmented or mixed.

    Those of `only`, or all. Views that have no form in torch cost time in each epoch: only if
    something is augmented. None where one of them is not made of the waveform, as a picture that
    came with the data: it would not follow.
    """
    if front_end is None or not front_end.waveform_is_signal:
        return None
    if only is not None and not set(only) <= set(front_end.views):
        return None
    if not front_end.follows_waveform and not augmented:
        return None
    return TorchFrontEnd(front_end, outside=True, only=only)


def _sd(image: Tensor) -> Tensor:
    """Standard deviation of each image, (batch, 1, 1)."""
    return (image - image.mean((1, 2), keepdim=True)).square().mean((1, 2), keepdim=True).sqrt()


def _median(values: Tensor) -> Tensor:
    """Median of each row, between the two middle values of an even number."""
    ordered = values.sort(dim=1).values
    n = ordered.shape[1]
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def _scaled(signal: Tensor, scaling: str) -> Tensor:
    """As `emboscope.representations.views.scale`."""
    if scaling == "none":
        return signal
    if scaling == "background":
        level = _median(signal.square().sum(1).sqrt())  # (batch,)
        return signal / level.clamp(min=SILENCE)[:, None, None]
    low = signal.amin(-1, keepdim=True)
    span = signal.amax(-1, keepdim=True) - low
    return (signal - low) / torch.where(span > 0, span, 1.0)

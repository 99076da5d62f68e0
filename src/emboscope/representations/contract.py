"""What every representation is: settings, and a function of a batch of segments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from emboscope.registry import Registry
from emboscope.settings import Settings

BLOCK_ROWS = 64  # segments that are transformed at a time, so that memory stays bounded

Gain = Literal["scales", "decibels", "doubled_decibels", "invariant", "other"]
Direction = Literal["channels", "rows", "quadrature", "none"]


class RepresentationSettings(Settings):
    """How a segment becomes an array; the base of the settings of every representation.

    Each subclass names its registry entry in `kind`, and says what its view does:

    `gain`: what an amplitude g times as large does. `scales`: the view is g times as large;
    `decibels`: it rises by 20·log10(g); `doubled_decibels`: by 40·log10(g); `invariant`: it stays;
    `other`: none of these.

    `direction`: what conjugating I + jQ, which turns the flow around, does. `channels`: the first
    half of the channels (forward) and the second (reverse) change places; `rows`: the rows are
    mirrored at 0 Hz; `quadrature`: only the channels of Q change; `none`: nothing does.
    """

    @property
    def gain(self) -> Gain:
        """What the gain of the signal does to the view."""
        raise NotImplementedError

    @property
    def direction(self) -> Direction:
        """Where the view of I and Q keeps the direction of flow."""
        raise NotImplementedError

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """Shape of the view of one segment."""
        raise NotImplementedError


@dataclass(frozen=True)
class Representation:
    """An entry of the registry.

    Attributes
    ----------
    compute : callable
        `compute(signal, settings)`, or `compute(signal, settings, sfreq)`; from (batch,
        n_channels, n_times) to a float32 array `(batch, *settings.shape(n_channels, n_times))`.
        Each row depends on its own segment alone.
    settings : type
        The class of its settings.
    needs_sfreq : bool
        Whether it is defined in Hz or seconds.
    """

    compute: Callable[..., np.ndarray]
    settings: type[RepresentationSettings]
    needs_sfreq: bool = False

    def __call__(
        self, signal: np.ndarray, settings: RepresentationSettings, sfreq: float
    ) -> np.ndarray:
        """The view of a batch, block by block."""
        more = (sfreq,) if self.needs_sfreq else ()
        starts = range(0, max(len(signal), 1), BLOCK_ROWS)
        blocks = (signal[start : start + BLOCK_ROWS] for start in starts)
        return np.concatenate([self.compute(block, settings, *more) for block in blocks])


REPRESENTATIONS: Registry[Representation] = Registry("representation")

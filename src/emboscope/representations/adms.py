"""The spectrogram as a colored picture, as a monitor draws it, and pictures read from files."""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from emboscope.errors import DataError
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.views import Profile, SpectrogramSettings, level_image, stft

PICTURE_SHAPE = (224, 96)  # rows and columns
LEAST_SPAN_DB = 1e-9  # under it a picture is taken as constant
_PNG_END = b"IEND\xaeB`\x82"  # the last chunk: name and checksum

COLORS = np.array([  # our own map: level, red, green, blue; lightness rises all along
    [0.00, 0.02, 0.02, 0.08],
    [0.20, 0.13, 0.10, 0.42],
    [0.40, 0.10, 0.36, 0.62],
    [0.60, 0.16, 0.62, 0.56],
    [0.75, 0.55, 0.80, 0.36],
    [0.90, 0.97, 0.86, 0.38],
    [1.00, 1.00, 0.98, 0.88],
])


class AdmsImageSettings(RepresentationSettings):
    """How a segment becomes a picture of three colors, 224 rows and 96 columns by default."""

    kind: Literal["adms_image"] = "adms_image"
    profile: Profile = "corrected"  # clips at μ − σ and μ + 4σ; paper and released at μ, μ + 9σ
    window_length: PositiveInt = 128
    n_rows: PositiveInt = PICTURE_SHAPE[0]
    n_columns: PositiveInt = PICTURE_SHAPE[1]

    @property
    def gain(self) -> Gain:
        """None: the colors span what the picture holds."""
        return "invariant"

    @property
    def direction(self) -> Direction:
        """Towards in the upper half of the picture, away in the lower."""
        return "rows"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(3, n_rows, n_columns)."""
        return (3, self.n_rows, self.n_columns)

    @property
    def spectrogram(self) -> SpectrogramSettings:
        """Settings of the transform under the colors."""
        return SpectrogramSettings(
            profile=self.profile,
            n_fft=self.n_rows,
            window_length=self.window_length,
            n_frames=self.n_columns,
            window="hamming",
        )


def adms_image(signal: np.ndarray, settings: AdmsImageSettings) -> np.ndarray:
    """The spectrogram in colors, which run from μ + aσ to μ + bσ of its dB.

    The colors are ours: the map of the monitor is not published. The frames are spread evenly
    over the segment.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.

    Returns
    -------
    view : ndarray of float32, shape (batch, 3, n_rows, n_columns)
        Red, green and blue from 0 to 1. As in a picture the first row is the top: the highest
        frequency towards the probe.
    """
    image, low, high = level_image(stft(signal, settings.spectrogram), settings.profile)
    level = np.clip((image - low) / np.maximum(high - low, LEAST_SPAN_DB), 0, 1)[:, ::-1]
    colors = [np.interp(level, COLORS[:, 0], color) for color in COLORS.T[1:]]
    return np.stack(colors, axis=1).astype(np.float32)


REPRESENTATIONS["adms_image"] = Representation(adms_image, AdmsImageSettings)


def read_adms_png(path: Path | str) -> np.ndarray:
    """A picture of a monitor as a view, resized by bilinear interpolation.

    Parameters
    ----------
    path : Path or str
        PNG of one event, already cut to the spectrogram; transparency is dropped.

    Returns
    -------
    view : ndarray of float32, shape (3, 224, 96)
        Red, green and blue from 0 to 1, first row at the top.

    Raises
    ------
    DataError
        If the file is missing or is no picture.
    """
    from PIL import Image  # on first use: nothing else needs Pillow

    n_rows, n_columns = PICTURE_SHAPE
    try:
        content = Path(path).read_bytes()
        if _PNG_END not in content[-len(_PNG_END) :]:  # Pillow may be told to bear with a cut one
            raise ValueError("the end of the picture is missing")
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            small = picture.convert("RGB").resize((n_columns, n_rows), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise DataError(f"picture '{path}': not found; expected a PNG. Check the path.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"picture '{path}': not a PNG that can be read; expected one of an event's "
            "spectrogram. Export it again."
        ) from error
    return np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / 255

"""Published data: EEG, transcranial Doppler, handwritten digits."""

import functools
import gzip
import itertools
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from emboscope.datasets.dataset import DATASETS, Dataset
from emboscope.datasets.fetch import find
from emboscope.errors import DataError, SettingsError
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import SpectrogramSettings, WaveformSettings
from emboscope.signal.readers import write_wav
from emboscope.signal.recording import Recording

ORGANS = (
    "bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver",
    "lung-left", "lung-right", "pancreas", "spleen",
)  # fmt: skip
ESR_SFREQ = 173.61
TCD_SFREQ, TCD_CARRIER_HZ = 5000.0, 2e6
_N_PAPERS = 15_000  # training digits in the papers on annotation
_BORDER = 4  # pixels that they cut off on each side


def _shipped(name: str) -> dict[str, np.ndarray]:
    with files("emboscope.datasets").joinpath("files", name).open("rb") as file:
        content = np.load(file, allow_pickle=False)
        return {key: content[key] for key in content.files}


def load_esr(progress: Progress = silent) -> Dataset:
    """Epileptic Seizure Recognition: 11,500 seconds of EEG, seizure or other.

    Rows of 178 samples, in µV; each group is one of the 500 recordings, which the published table
    scatters over both sides of its split. Strata are the five sets of the Bonn originals.

    References
    ----------
    .. [1] Andrzejak, R. G., et al. (2001). Phys. Rev. E 64, 061907.
    .. [2] Wu, Q., Fokoue, E. (2017). UCI Machine Learning Repository 388, doi 10.24432/C5G308.
    """
    content = _shipped("esr.npz")
    front_end = FrontEnd(
        sfreq=ESR_SFREQ,
        n_times=content["X"].shape[1],
        views={
            "waveform": WaveformSettings(unit_divisor=100),
            "spectrogram": SpectrogramSettings(),
        },
    )
    return Dataset(
        name="esr",
        views=front_end.compute(content["X"][:, None, :]),
        y=np.where(content["y"] == 1, 0, 1),
        groups=content["bonn_set"].astype(np.int64) * 1000 + content["file_no"],
        sfreq=ESR_SFREQ,
        classes=("seizure", "other"),
        front_end=front_end,
        group_kind="recording",
        strata=content["y"].astype(np.int64),
    )


def tcd_recordings() -> list[Recording]:
    """The eight real TCD recordings, 2.9 s each, in which all flagged events are probe taps.

    Four moments in two gates, 2 MHz, 5 kHz, flow below 0 Hz. The level is not calibrated.
    """
    content = _shipped("tcd_dwl_hits.npz")
    offset, iq = content["offset"], content["iq"].astype(np.float32) / 32768
    return [
        Recording(
            samples=(iq[start:stop, 0] + 1j * iq[start:stop, 1])[None],
            sfreq=TCD_SFREQ,
            channels=(f"gate {n % 2 + 1}",),
            unit="full scale",
            carrier_hz=TCD_CARRIER_HZ,
            name=f"tcd-{n // 2 + 1}-gate-{n % 2 + 1}",
        )
        for n, (start, stop) in enumerate(itertools.pairwise(offset))
    ]


def export_tcd(folder: Path) -> list[Path]:
    """Write the eight recordings as WAV (16 bit, as they were recorded); their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for recording in tcd_recordings():
        paths.append(folder / f"{recording.name}.wav")
        write_wav(paths[-1], recording.samples[0], recording.sfreq)
    return paths


def load_tcd_dwl(progress: Progress = silent) -> Dataset:
    """Refused: the recordings hold artifacts only, so nothing can be trained on them."""
    raise SettingsError(
        "data set 'tcd_dwl': holds artifacts only, for detection; nothing to train on. "
        "Run: emboscope data fetch tcd_dwl --out DIR, then emboscope scan DIR --carrier-mhz 2"
    )


def load_mnist(progress: Progress = silent) -> Dataset:
    """MNIST: 60,000 training digits, then the 10,000 of the official test set (group 1).

    The image (n, 1, 28, 28) in [0, 1] is the view `spectrogram`; there is no waveform.
    """
    arrays = _mnist_arrays(find("mnist", progress))
    return _pictures("mnist", arrays, tuple("0123456789"))


def load_mnist15k(progress: Progress = silent) -> Dataset:
    """The part of MNIST in the papers on annotation [1]_: 15,000 digits, and 10,000 to test on.

    The first 15,000 of the training set and the official test set (group 1), cropped to the
    20 × 20 in the middle.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """
    x_train, y_train, x_test, y_test = _mnist_arrays(find("mnist", progress))
    part = slice(_N_PAPERS)
    arrays = [mnist_crop(x_train[part]), y_train[part], mnist_crop(x_test), y_test]
    return _pictures("mnist15k", arrays, tuple("0123456789"))


def mnist_crop(images: np.ndarray) -> np.ndarray:
    """The middle (…, 20, 20) of images (…, 28, 28)."""
    return images[..., _BORDER:-_BORDER, _BORDER:-_BORDER]


def load_organ(name: str, progress: Progress = silent) -> Dataset:
    """OrganCMNIST [1]_: eleven organs in slices of computed tomography, 28 × 28.

    The official training and validation parts together (group 0), then the official test part
    (group 1). `organc_v2` has the counts of the papers: 15,392 and 8,268.

    References
    ----------
    .. [1] Yang, J., Shi, R., Wei, D., Liu, Z., Zhao, L., Ke, B., Pfister, H., Ni, B. (2023).
       MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image
       classification. Scientific Data, 10.
    """
    (path,) = find(name, progress)
    try:
        with np.load(path, allow_pickle=False) as content:
            parts = {
                f"{part}_{what}": content[f"{part}_{what}"]
                for part in ("train", "val", "test")
                for what in ("images", "labels")
            }
    except (KeyError, OSError, ValueError) as error:
        raise DataError(f"'{path}': not OrganCMNIST ({error}). Fetch {name} again.") from error
    images = np.concatenate([parts["train_images"], parts["val_images"]])
    labels = np.concatenate([parts["train_labels"], parts["val_labels"]])
    arrays = [images, labels.ravel(), parts["test_images"], parts["test_labels"].ravel()]
    return _pictures(name, arrays, ORGANS)


def _pictures(name: str, arrays: Sequence[np.ndarray], classes: tuple[str, ...]) -> Dataset:
    """Bytes (n, height, width) as a data set: group 0 to train on, group 1 to test on.

    `arrays` are images and labels to train on, then images and labels to test on.
    """
    x_train, y_train, x_test, y_test = arrays
    images = np.concatenate([x_train, x_test])[:, None].astype(np.float32) / 255
    return Dataset(
        name=name,
        views={"spectrogram": images},
        y=np.concatenate([y_train, y_test]).astype(np.int64),
        groups=np.repeat([0, 1], [len(y_train), len(y_test)]),
        sfreq=1.0,
        classes=classes,
        front_end=FrontEnd(
            sfreq=1.0,
            n_times=images[0].size,
            views={"spectrogram": SpectrogramSettings()},
        ),
        group_kind="row",
        test_groups=np.array([1]),
    )


def _mnist_arrays(paths: list[Path]) -> list[np.ndarray]:
    """Training images and labels, test images and labels, of one NPZ or the four idx files."""
    if paths[0].suffix == ".npz":
        with np.load(paths[0], allow_pickle=False) as content:
            return [content[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    return [_idx(path) for path in paths]


def _idx(path: Path) -> np.ndarray:
    """An array of bytes in the idx format, compressed."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(f"'{path}': not a gzip file ({error}). Fetch mnist again.") from error
    n_dims = raw[3]
    shape = np.frombuffer(raw, ">i4", n_dims, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * n_dims).reshape(shape)


DATASETS["esr"] = load_esr
DATASETS["tcd_dwl"] = load_tcd_dwl
DATASETS["mnist"] = load_mnist
DATASETS["mnist15k"] = load_mnist15k
DATASETS["organc"] = functools.partial(load_organ, "organc")
DATASETS["organc_v2"] = functools.partial(load_organ, "organc_v2")

"""HITS of real patients in an HDF5 file, a group or a data set of numbers each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.signal import resample_poly

from emboscope.datasets.dataset import Dataset, own_name
from emboscope.datasets.hits import CLASSES, SFREQ, front_end, segments_dataset
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.representations.adms import read_adms_png
from emboscope.signal.source import load_library, reading, to_full_scale

SUFFIXES = (".h5", ".hdf5")
PATIENT = ("patient", "patient_id", "patientId", "subject", "subject_id")  # attributes, any of them
SIGNAL = ("iq", "samples", "I")  # data sets in a group, any of them; Q beside I
TEST = "test"  # name of a group, above its samples
NAMES = {
    "artifact": 0, "a": 0, "art": 0, "0": 0,
    "gaseous": 1, "eg": 1, "ge": 1, "1": 1,
    "solid": 2, "es": 2, "se": 2, "2": 2,
    "unknown": -1, "unsure": -1, "-1": -1, "": -1,
}  # fmt: skip
SUM_TOLERANCE = 1e-3  # of probabilities that were written with few decimals


@dataclass(frozen=True)
class _Sample:
    """A sample as it stands in the file: its path there, attributes, and I + jQ."""

    what: str
    attributes: Mapping[str, object]
    line: np.ndarray

    @property
    def in_test(self) -> bool:
        return TEST in self.what.split("/")[:-1]


def load_hits_file(path: Path, progress: Progress = silent, pictures: bool = True) -> Dataset:
    """HITS of an HDF5 file, with the views, classes and front end of `hits`.

    Every group or data set with the attribute `class`, at any depth, is a sample. Its class is
    artifact, gaseous or solid; A, EG or ES; 0, 1 or 2; or unknown, which is unlabelled. `patient`,
    or another name in `PATIENT`, tells whose it is. The raw I and Q stand in it as `iq`, (n, 2) or
    (2, n), as complex `samples`, or as `I` and `Q`: integers as fractions of their range. Optional
    attributes are `p_artifact`, `p_gaseous`, `p_solid`, the shares of the raters; `peak_sample`,
    the middle by default; and `sfreq`, also of the file, 4385 Hz by default.

    A segment is filtered as a recording would be, and zeros fill it up on both sides. The patients
    below a group `test` are the fixed test part, unless one of them stands elsewhere too. Where
    every sample names the vendor's picture (`pngPath`) and pictures are there, they are the view
    `adms_image`; it is not made of I and Q, so that models that read it train without augmentation.
    With `pictures` false they are left where they are.

    Raises
    ------
    DataError
        If the file cannot be read, or with the sample that cannot be used.
    """
    samples, rate = _read_samples(path)
    segments = []
    for done, sample in enumerate(samples, start=1):
        segments.append(_segment(path, sample, rate))
        progress("reading HITS", done, len(samples))
    y = np.array([_label(path, sample) for sample in samples], np.int64)
    groups = np.array([_patient(path, sample) for sample in samples], str)
    soft = _soft_labels(path, samples, y)
    test = _test_patients(samples, groups)
    data = segments_dataset(own_name(path), np.stack(segments), y, groups, soft, test)
    places = [_picture_place(path, sample) for sample in samples] if pictures else [None]
    if None in places or not any(place and place.is_file() for place in places):
        return data
    view = _pictures(path, samples, progress)
    return replace(data, views={**data.views, "adms_image": view})


def is_hits_file(path: Path) -> bool:
    """Whether something in an HDF5 file has the attribute `class`, as HITS have."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    h5py = load_library("h5py", f"hits '{path}'")
    if not h5py.is_hdf5(path):
        return False
    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        return bool(file.visititems(lambda _, node: True if "class" in node.attrs else None))


def sample_names(path: Path) -> tuple[str, ...]:
    """Paths of the samples in a file, in the order of the rows of `load_hits_file`."""
    h5py = load_library("h5py", f"hits '{path}'")
    names: list[str] = []

    def visit(name: str, node) -> None:  # type: ignore[no-untyped-def]
        if "class" in node.attrs:
            names.append(name)

    with reading(path, "an HDF5 file of HITS"), h5py.File(path, "r") as file:
        file.visititems(visit)
    return tuple(names)


def read_pictures(path: Path, progress: Progress = silent) -> np.ndarray:
    """The vendor's pictures, which the attribute `pngPath` names beside the file.

    Returns
    -------
    pictures : ndarray of float32, shape (n, 3, 224, 96)
        From 0 to 1, in the order of the rows of `load_hits_file`: the view `adms_image`.

    Raises
    ------
    DataError
        If a sample names none, or one that is missing, no PNG, or outside the folder of the file.
    """
    return _pictures(path, _read_samples(path)[0], progress)


def _pictures(path: Path, samples: list[_Sample], progress: Progress) -> np.ndarray:
    pictures = []
    for done, sample in enumerate(samples, start=1):
        place = _picture_place(path, sample)
        if place is None:
            raise DataError(
                f"hits '{path}' {sample.what}: pngPath is '{_picture_name(sample)}'; expected a "
                "picture in the folder of the file. Put it there."
            )
        pictures.append(read_adms_png(place))
        progress("reading pictures", done, len(samples))
    return np.stack(pictures)


def _picture_place(path: Path, sample: _Sample) -> Path | None:
    """Where the picture of a sample should be; None where it names none in the folder."""
    folder, name = path.parent.resolve(), _picture_name(sample)
    try:
        place = (folder / name).resolve()
        place.is_file()
    except (ValueError, OSError):  # no name of a file
        return None
    return place if name and place.is_relative_to(folder) else None


def _picture_name(sample: _Sample) -> str:
    return _text(sample.attributes.get("pngPath", ""))


def _read_samples(path: Path) -> tuple[list[_Sample], float]:
    """All samples, in the order of their names, and the sampling frequency of the file."""
    if not path.is_file():
        raise DataError(f"hits '{path}': no such file. Check the path.")
    h5py = load_library("h5py", f"hits '{path}'")
    samples: list[_Sample] = []

    def visit(name: str, node) -> None:  # type: ignore[no-untyped-def]
        if "class" in node.attrs:
            samples.append(_Sample(name, dict(node.attrs), _line(path, name, node, h5py)))

    with reading(path, "an HDF5 file of HITS"), h5py.File(path, "r") as file:
        rate = float(file.attrs.get("sfreq", SFREQ))
        file.visititems(visit)  # follows no link out of the file
    if not samples:
        raise DataError(
            f"hits '{path}': no group with the attribute class; expected one for each sample."
        )
    return samples, rate


def _line(path: Path, what: str, node, h5py: ModuleType) -> np.ndarray:  # type: ignore[no-untyped-def]
    """I + jQ of a sample, (n_times,)."""
    is_array = isinstance(node, h5py.Dataset)

    def read(name: str) -> np.ndarray:
        item = node if is_array else node.get(name)
        if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
            raise DataError(f"hits '{path}' {what}: {name} is not in the file; expected numbers.")
        return item[()]

    name = next((each for each in SIGNAL if is_array or each in node), None)
    if name is None:
        raise DataError(
            f"hits '{path}' {what}: no I and Q; expected iq, samples, or I and Q. A file of labels "
            "alone is read by: emboscope labels STUDY import"
        )
    return _complex(path, what, read(name), lambda: read("Q"))


def _complex(
    path: Path, what: str, array: np.ndarray, quadrature: Callable[[], np.ndarray]
) -> np.ndarray:
    if array.dtype.kind not in "iufc":
        raise DataError(f"hits '{path}' {what}: I and Q of {array.dtype}; expected numbers.")
    if array.dtype.kind != "c" and array.ndim == 1:
        array = np.stack([array, quadrature()])
    if array.dtype.kind != "c":
        array = to_full_scale(array.T if array.ndim == 2 and array.shape[1] == 2 else array)
        if array.ndim != 2 or len(array) != 2:
            raise DataError(
                f"hits '{path}' {what}: I and Q of shape {array.shape}; expected (n, 2) or (2, n)."
            )
        array = array[0] + 1j * array[1]
    line = array.ravel().astype(np.complex64)
    if line.size == 0 or not np.isfinite(line).all():
        raise DataError(
            f"hits '{path}' {what}: I and Q are empty or not finite; expected numbers. Mend or "
            "drop that sample."
        )
    return line


def _segment(path: Path, sample: _Sample, rate: float) -> np.ndarray:
    """I and Q of 1400 samples, (2, 1400), high-passed, the peak at sample 700."""
    chain = front_end()
    rate = _number(path, sample, "sfreq", rate)
    middle = (sample.line.size + 1) // 2  # of what is left over, zeros to the right get more
    peak = _number(path, sample, "peak_sample", middle)
    if not (rate > 0 and 0 <= peak <= sample.line.size):
        raise DataError(
            f"hits '{path}' {sample.what}: peak_sample {peak:g} at {rate:g} Hz; expected one of "
            f"{sample.line.size} samples and a rate above 0."
        )
    line = sample.line
    ratio = Fraction(chain.sfreq / rate).limit_denominator(1000)
    if ratio != 1:
        line = resample_poly(line, ratio.numerator, ratio.denominator)
    return chain.cut(line[None], [round(peak * float(ratio))])[0]


def _label(path: Path, sample: _Sample) -> int:
    text = _text(sample.attributes["class"]).strip().lower()
    if text not in NAMES:
        raise DataError(
            f"hits '{path}' {sample.what}: class '{text}'; expected {', '.join(CLASSES)}, A, EG, "
            "ES, 0, 1, 2 or unknown."
        )
    return NAMES[text]


def _patient(path: Path, sample: _Sample) -> str:
    told = [_text(sample.attributes[name]) for name in PATIENT if name in sample.attributes]
    if not told or not told[0].strip():
        raise DataError(
            f"hits '{path}' {sample.what}: no patient; expected the attribute {PATIENT[0]}, so "
            "that splits keep patients whole."
        )
    return told[0].strip()


def _soft_labels(path: Path, samples: list[_Sample], y: np.ndarray) -> np.ndarray | None:
    """Shares of the raters where the file tells any; the class alone where it tells none."""
    names = [f"p_{name}" for name in CLASSES]
    if not any(name in sample.attributes for sample in samples for name in names):
        return None
    soft = np.full((len(samples), len(CLASSES)), np.nan)
    for row, sample in enumerate(samples):
        if any(name in sample.attributes for name in names):
            shares = np.array([_number(path, sample, name, np.nan) for name in names])
            if not ((shares >= 0).all() and abs(shares.sum() - 1) <= SUM_TOLERANCE):
                raise DataError(
                    f"hits '{path}' {sample.what}: probabilities {shares.tolist()}; expected "
                    f"{', '.join(names)} of sum 1."
                )
            soft[row] = shares / shares.sum()
        elif y[row] >= 0:
            soft[row] = np.eye(len(CLASSES))[y[row]]
    return soft


def _test_patients(samples: list[_Sample], groups: np.ndarray) -> np.ndarray | None:
    """Patients of the test part; None without one, or where it shares a patient with the rest."""
    in_test = np.array([sample.in_test for sample in samples])
    test = np.unique(groups[in_test])
    return test if test.size and not np.isin(test, groups[~in_test]).any() else None


def _number(path: Path, sample: _Sample, name: str, default: float) -> float:
    value = sample.attributes.get(name, default)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"hits '{path}' {sample.what}: {name} is '{value}'; expected a number."
        ) from error


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

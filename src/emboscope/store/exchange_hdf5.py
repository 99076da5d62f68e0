"""Labels as the HDF5 of HITS: a group a sample, with the attributes `class` and `pngPath`."""

import os
from collections.abc import Sequence
from pathlib import Path

from emboscope.errors import DataError
from emboscope.signal.source import load_library, reading
from emboscope.store.exchange import LabelRow
from emboscope.store.exchange_files import number, share


def picture_name(path: Path, sample: int | None) -> str:
    """Where the spectrogram of a sample stands, relative to the file of labels."""
    return f"{path.stem}.pictures/{sample}.png"


def write_hdf5(path: Path, rows: Sequence[LabelRow], classes: Sequence[str]) -> None:
    """Write a group a sample, named by its id, aside first.

    Beside `class` and `pngPath` stand `recording`, `peak_s`, `source`, `annotator` and `p_*`.
    """
    h5py = load_library("h5py", f"labels '{path}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(aside, "w") as file:
            for row in rows:
                group = file.create_group(str(row.sample_id))
                group.attrs.update(_attributes(path, row, classes))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _attributes(path: Path, row: LabelRow, classes: Sequence[str]) -> dict[str, object]:
    shares = zip(classes, row.probabilities or (), strict=False)
    plain = {name: getattr(row, name) for name in ("recording", "peak_s", "source", "annotator")}
    return {
        "class": row.label,
        "pngPath": picture_name(path, row.sample_id),
        **plain,
        **{f"p_{name}": value for name, value in shares},
    }


def read_hdf5(path: Path, classes: Sequence[str]) -> list[LabelRow]:
    """Read the attributes of the groups; `class` is a name, or the number of a class from 0.

    The name of a group is the id of the sample, unless `recording` and `peak_s` tell it.

    Raises
    ------
    DataError
        If it is no HDF5 file, or with the group that cannot be read.
    """
    if not path.is_file():
        raise DataError(f"labels '{path}': no such file. Check the path.")
    h5py = load_library("h5py", f"labels '{path}'")
    with reading(path, "an HDF5 file of labels"), h5py.File(path, "r") as file:
        groups = [(name, dict(file[name].attrs)) for name in file]
    rows = [_row(path, name, attributes, classes) for name, attributes in groups]
    return sorted(rows, key=lambda row: (row.sample_id is None, row.sample_id or 0))


def _row(path: Path, name: str, attributes: dict[str, object], classes: Sequence[str]) -> LabelRow:
    what = f"labels '{path}' group {name}"
    if "class" not in attributes:
        raise DataError(f"{what}: no attribute class; expected {', '.join(classes)}.")
    told = "recording" in attributes and "peak_s" in attributes
    sample = None if told and not name.isdigit() else number(what, "its name", name, whole=True)
    shares = [attributes.get(f"p_{each}") for each in classes]
    given = any(each is not None for each in shares)
    return LabelRow(
        where=f"group {name}",
        sample_id=None if sample is None else int(sample),
        label=_label(attributes["class"], classes),
        recording=_text(attributes.get("recording", "")),
        peak_s=number(what, "peak_s", attributes.get("peak_s")),
        probabilities=tuple(share(what, each) for each in shares) if given else None,
        source=_text(attributes.get("source", "")),
        annotator=_text(attributes.get("annotator", "")),
    )


def _label(value: object, classes: Sequence[str]) -> str:
    text = _text(value).strip().lower()
    if text.isdigit() and int(text) < len(classes):
        return classes[int(text)]
    return text


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

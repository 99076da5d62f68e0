"""The formats of labels, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emboscope.errors import SettingsError
from emboscope.registry import Registry
from emboscope.store.exchange import LabelRow
from emboscope.store.exchange_csv import read_csv, write_csv
from emboscope.store.exchange_hdf5 import read_hdf5, write_hdf5
from emboscope.store.exchange_json import read_labels, write_labels
from emboscope.store.exchange_label_studio import read_tasks, write_tasks


@dataclass(frozen=True)
class Format:
    """How labels are kept in a file.

    Attributes
    ----------
    suffix : str
        By which the format is told where it is not named.
    read : callable (path, classes) -> list of LabelRow
    write : callable (path, rows, classes)
    merged : bool
        Whether a sample stands in the file once.
    blank : bool
        Whether a sample may stand there without a label, to be filled in.
    """

    suffix: str
    read: Callable[[Path, Sequence[str]], list[LabelRow]]
    write: Callable[[Path, Sequence[LabelRow], Sequence[str]], None]
    merged: bool = False
    blank: bool = False


FORMATS: Registry[Format] = Registry("format of labels")
FORMATS["csv"] = Format(".csv", read_csv, write_csv, blank=True)
FORMATS["json"] = Format(".json", read_labels, write_labels)
FORMATS["label_studio"] = Format(".json", read_tasks, write_tasks, blank=True)
FORMATS["hits_hdf5"] = Format(".h5", read_hdf5, write_hdf5, merged=True)


def format_of(path: Path, name: str | None) -> Format:
    """The format that is named, else the first of the suffix.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name is not None:
        return FORMATS[name]
    for each in FORMATS.values():
        if path.suffix.lower() == each.suffix:
            return each
    raise SettingsError(
        f"labels '{path}': no format has the suffix '{path.suffix}'; expected "
        f"{', '.join(dict.fromkeys(each.suffix for each in FORMATS.values()))}. Pass --format."
    )

"""Readers of other packages, found by the entry point group `emboscope.readers`.

The name of an entry point is a suffix, `.xyz`; the object is a callable (path, sfreq) -> Raw. The
formats that are built in cannot be overridden.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.source import Raw, reading

GROUP = "emboscope.readers"


def plugin_suffixes() -> dict[str, EntryPoint]:
    """The suffixes that installed packages read, with their entry points."""
    return {point.name.lower(): point for point in entry_points(group=GROUP)}


def plugin_reader(suffix: str, point: EntryPoint) -> Callable[[Path, float | None], Raw]:
    """The reader of an entry point, checked whenever it gives something.

    Raises
    ------
    DataError
        From the reader itself: if it cannot be loaded, fails, or gives anything but a `Raw` whose
        samples are complex (n_gates, n_times).
    """

    def open_plugin(path: Path, sfreq: float | None) -> Raw:
        where = f"recording '{path}': the plug-in '{suffix}' ({point.value})"
        try:
            reader = point.load()
        except Exception as error:
            raise DataError(
                f"{where} cannot be loaded ({type(error).__name__}: {error}). "
                "Update or uninstall its package."
            ) from error
        with reading(path, f"a file that the plug-in '{suffix}' reads"):
            raw = reader(path, sfreq)
        if not isinstance(raw, Raw):
            raise DataError(f"{where} gave {type(raw).__name__}; expected a Raw. Update it.")

        def read(start: int, stop: int) -> np.ndarray:
            with reading(path, f"a file that the plug-in '{suffix}' reads"):
                samples = np.asarray(raw.read(start, stop), np.complex64)
            if samples.shape != (raw.n_gates, stop - start):
                raise DataError(
                    f"{where} gave samples of shape {samples.shape}; expected "
                    f"({raw.n_gates}, {stop - start}). Update it."
                )
            return samples

        return Raw(raw.sfreq, raw.n_times, read, raw.n_gates, raw.carrier_hz)

    return open_plugin

"""`NAME.json` beside a recording: what its header cannot tell."""

import json
from pathlib import Path

import numpy as np

from emboscope.errors import DataError

ITEMS = {  # key of the sidecar: acquisition item
    "device": "ultrasound_device",
    "ultrasound_device": "ultrasound_device",
    "transducer": "transducer",
    "artery": "artery",
    "side": "side",
    "indication": "indication",
    "recorded_on": "recorded_on",
    "depth_mm": "insonation_depth_mm",
    "insonation_depth_mm": "insonation_depth_mm",
    "sample_volume_mm": "sample_volume_mm",
    "scale_settings": "scale_settings",
}
CHOICES = {"q_sign": ("+", "-"), "layout": ("iq", "forward_reverse")}


def read_sidecar(path: Path) -> dict[str, object]:
    """What `NAME.json` beside the recording `path` says; empty where there is none.

    Raises
    ------
    DataError
        If it is not one JSON object, or `q_sign` or `layout` is none that is known.
    """
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"sidecar '{beside}': not JSON ({error}). Mend or remove it.") from error
    if not isinstance(content, dict):
        raise DataError(f"sidecar '{beside}': expected one JSON object. Mend or remove it.")
    for key, known in CHOICES.items():
        if key in content and content[key] not in known:
            raise DataError(
                f"sidecar '{beside}': {key} is {content[key]!r}; expected {' or '.join(known)}."
            )
    return content


def number(
    path: Path, name: str, value: object, limits: tuple[float, float] = (-np.inf, np.inf)
) -> float | None:
    """A finite number of the sidecar of `path`, within limits, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise DataError(f"sidecar of '{path}': {name} is {value!r}; expected a number.")
    if not limits[0] <= value <= limits[1]:
        raise DataError(
            f"sidecar of '{path}': {name} is {value!r}; expected {limits[0]:g} to {limits[1]:g}."
        )
    return float(value)


def acquisition_items(side: dict[str, object]) -> dict[str, str]:
    """The acquisition items of a sidecar; whatever else it holds stays there."""
    return {
        item: str(side[key])
        for key, item in ITEMS.items()
        if isinstance(side.get(key), str | int | float)
    }

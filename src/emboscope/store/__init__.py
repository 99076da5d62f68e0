"""The study folder: tables of recordings and samples, array shards, the log of labels."""

from importlib import import_module
from importlib.util import find_spec

from emboscope.errors import SettingsError

if find_spec("sqlalchemy") is None:
    raise SettingsError(
        "store: SQLAlchemy is not installed; expected it for a study folder. "
        'Run: pip install "emboscope[store]"'
    )

_HOMES = {
    "ArrayInfo": "arrays",
    "LabelEvent": "labels",
    "Labels": "labels",
    "RecordingInfo": "recordings",
    "Samples": "samples",
    "Study": "study",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load SQLAlchemy only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

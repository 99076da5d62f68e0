"""From long Doppler, EEG and ECG recordings to labelled events and models for the device."""

from importlib import import_module

_HOMES = {
    "Recording": "signal.recording",
    "read_recording": "signal.readers",
    "detect_events": "events.detection",
    "score_events": "events.scoring",
    "score_times": "events.scoring",
    "load_dataset": "datasets",
    "local_quality": "annotation.quality",
    "LQKNN": "annotation.propagators",
    "StdKNN": "annotation.propagators",
    "SignalClassifier": "learning.estimator",
    "compress": "compression.finetune",
    "cost": "compression.cost",
    "export_onnx": "export.onnx",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Load a part when it is used, so that what needs no torch loads none."""
    if name not in _HOMES:
        raise AttributeError(f"module 'emboscope' has no attribute '{name}'")
    return getattr(import_module(f"emboscope.{_HOMES[name]}"), name)

"""Networks on several views of a signal, and how they are trained."""

import importlib

_HOMES = {
    "ENCODERS": "encoders",
    "FUSIONS": "combinations",
    "FeatureClassifier": "classical",
    "LOSSES": "losses",
    "LossSettings": "losses.settings",
    "MODELS": "models",
    "NetworkSettings": "architecture",
    "RegularizerSettings": "regularizers.settings",
    "SignalClassifier": "estimator",
    "TrainSettings": "settings",
    "TransformerSettings": "architecture",
    "build_network": "models",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    """Load torch only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Semi-automatic annotation: features, maps, local quality, propagation of few labels."""

from importlib import import_module

_HOMES = {
    "AutoEncoderSettings": "autoencoder",
    "ConvAutoEncoder": "autoencoder",
    "encode": "autoencoder",
    "train_autoencoder": "autoencoder",
    "AnnotationFigures": "figures",
    "annotation_figures": "figures",
    "FEATURES": "features",
    "fit_features": "features",
    "load_features": "features",
    "save_features": "features",
    "train_features": "features",
    "MAP_GRIDS": "maps",
    "PROJECTIONS": "maps",
    "MapSettings": "maps",
    "LQKNN": "propagators",
    "PROPAGATORS": "propagators",
    "StdKNN": "propagators",
    "local_quality": "quality",
    "MapChoice": "selection",
    "choose_map": "selection",
    "coverage_rule": "selection",
    "labeled_silhouette": "selection",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load torch only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Semi-automatic annotation: features, maps, local quality, propagation of few labels."""

from importlib import import_module

_HOMES = {
    "agreement_interval": "agreement",
    "cohen_kappa": "agreement",
    "fleiss_kappa": "agreement",
    "krippendorff_alpha": "agreement",
    "specific_agreement": "agreement",
    "AutoEncoderSettings": "autoencoder",
    "ConvAutoEncoder": "autoencoder",
    "encode": "autoencoder",
    "train_autoencoder": "autoencoder",
    "calibrate": "calibration",
    "CalibrationSettings": "calibration",
    "dawid_skene": "consensus",
    "majority_vote": "consensus",
    "soft_of_votes": "consensus",
    "FEATURES": "features",
    "fit_features": "features",
    "load_features": "features",
    "save_features": "features",
    "train_features": "features",
    "annotation_figures": "figures",
    "AnnotationFigures": "figures",
    "hold_out_labels": "held_out",
    "risk_coverage": "held_out",
    "MAP_GRIDS": "maps",
    "MapSettings": "maps",
    "PROJECTIONS": "maps",
    "LQKNN": "propagators",
    "PROPAGATORS": "propagators",
    "StdKNN": "propagators",
    "local_quality": "quality",
    "next_queries": "queue",
    "QueueSettings": "queue",
    "review_queue": "review",
    "RULES": "rules",
    "choose_map": "selection",
    "coverage_rule": "selection",
    "labeled_silhouette": "selection",
    "MapChoice": "selection",
    "Situation": "situation",
    "jensen_shannon": "soft_labels",
    "keep_most_certain": "soft_labels",
    "stopping_advice": "stopping",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load torch only when a name is used."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""Names in settings, looked up in their registries before anything is measured."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from emboscope.annotation.maps.projections import PROJECTIONS
from emboscope.annotation.maps.settings import MAP_GRIDS
from emboscope.annotation.propagators import PROPAGATORS
from emboscope.compression.finetune import LAYER_RULES, MIXED, CompressSettings
from emboscope.compression.mixed_precision import FLOAT, MixedSettings
from emboscope.compression.normalization import STATISTICS
from emboscope.compression.quantizers import QUANTIZERS
from emboscope.datasets.dataset import DATASETS
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.augmentation import AUGMENTATIONS
from emboscope.learning.classical import CLASSICAL
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.losses import LOSSES
from emboscope.learning.models import MODELS
from emboscope.learning.schedules import OPTIMIZERS, SCHEDULES
from emboscope.learning.settings import TrainSettings
from emboscope.learning.toy import TOY_SETS
from emboscope.representations.contract import REPRESENTATIONS
from emboscope.settings import Settings
from emboscope.workflows.annotation_cells import CHOICES, LabelSettings
from emboscope.workflows.classification_cells import (
    BUDGETS,
    TARGETS,
    ClassifySettings,
    LearningSettings,
)
from emboscope.workflows.compression_cells import CompressionSettings, TeacherModel
from emboscope.workflows.model_cells import ModelSettings
from emboscope.workflows.prepared import FEATURE_SETS, IMAGE_SETS, PrepareSettings
from emboscope.workflows.propagated_cells import PropagatedSettings
from emboscope.workflows.toy_cells import ToySettings

LookUp = Callable[[str], object]  # raises SettingsError with the nearest name


def check_names(settings: Settings) -> None:
    """Look up all names in settings and in those within.

    Raises
    ------
    SettingsError
        For a name that is in no registry, with the nearest that is.
    """
    for part in _parts(settings):
        for field in type(part).model_fields:
            look_up = look_up_of(type(part), field)
            if look_up is None:
                continue
            for name in _names(getattr(part, field)):
                look_up(name)


def _names(value: object) -> Iterator[str]:
    """A name, several, or the kinds of views."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (str(each.get("kind", "")) for each in value.values())
    elif isinstance(value, tuple):
        yield from value


def _parts(settings: Settings) -> Iterator[Settings]:
    """The settings and all groups within."""
    yield settings
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Settings):
                yield from _parts(each)


def look_up_of(kind: type, field: str) -> LookUp | None:
    """That of the nearest class in which the field is known."""
    known = (_LOOK_UPS.get((each, field)) for each in kind.__mro__)
    return next((each for each in known if each is not None), None)


def _encoder(name: str) -> object:
    """`ENCODER`, or `ENCODER:VIEW`."""
    return ENCODERS[name.partition(":")[0]]


def _network(name: str) -> object:
    return _encoder(name) if ":" in name else MODELS[name]


def _model(name: str) -> object:
    """A network, or a classical model."""
    return CLASSICAL[name] if name in CLASSICAL else _network(name)


def _quantizer(name: str) -> object:
    return name if name == MIXED else QUANTIZERS[name]


def _choice(name: str) -> object:
    return name if name == FLOAT else QUANTIZERS[name]


def _data(name: str) -> object:
    """A registered data set, or a file or folder of one's own."""
    return name if Path(name).exists() else DATASETS[name]


def _images(name: str) -> object:
    return name if Path(name).exists() else IMAGE_SETS[name]


_LOOK_UPS: Mapping[tuple[type[Settings], str], LookUp] = {
    (TrainSettings, "optimizer"): OPTIMIZERS.__getitem__,
    (TrainSettings, "schedule"): SCHEDULES.__getitem__,
    (TrainSettings, "loss"): LOSSES.__getitem__,
    (TrainSettings, "augment"): AUGMENTATIONS.__getitem__,
    (NetworkSettings, "members"): _encoder,
    (CompressSettings, "method"): _quantizer,
    (CompressSettings, "layers"): LAYER_RULES.__getitem__,
    (CompressSettings, "normalization"): STATISTICS.__getitem__,
    (MixedSettings, "choices"): _choice,
    (ModelSettings, "data"): _data,
    (ModelSettings, "model"): _model,
    (ModelSettings, "views"): REPRESENTATIONS.__getitem__,
    (CompressionSettings, "data"): _data,
    (CompressionSettings, "model"): _network,
    (TeacherModel, "model"): _network,
    (PrepareSettings, "data"): _images,
    (PrepareSettings, "features"): FEATURE_SETS.__getitem__,
    (PrepareSettings, "grid"): MAP_GRIDS.__getitem__,
    (PrepareSettings, "projection"): PROJECTIONS.__getitem__,
    (LabelSettings, "choose"): CHOICES.__getitem__,
    (LabelSettings, "method"): PROPAGATORS.__getitem__,
    (LearningSettings, "model"): MODELS.__getitem__,
    (LearningSettings, "budget"): BUDGETS.__getitem__,
    (ClassifySettings, "targets"): TARGETS.__getitem__,
    (PropagatedSettings, "targets"): TARGETS.__getitem__,
    (PropagatedSettings, "model"): _model,
    (ToySettings, "set"): TOY_SETS.__getitem__,
}

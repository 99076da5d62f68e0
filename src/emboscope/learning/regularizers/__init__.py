"""Terms that are added to the loss of the labels; all read the outputs of one pass."""

from emboscope.learning.regularizers.contrastive import supervised_contrastive
from emboscope.learning.regularizers.dec import DeepEmbeddedClustering, log_assignments, target_of
from emboscope.learning.regularizers.links import link_constraints
from emboscope.learning.regularizers.settings import RegularizerSettings

__all__ = [
    "DeepEmbeddedClustering",
    "RegularizerSettings",
    "link_constraints",
    "log_assignments",
    "supervised_contrastive",
    "target_of",
]

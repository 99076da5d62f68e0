"""Cell of the study of clustering: a small network on three Gaussians."""

from typing import Literal

from pydantic import PositiveFloat

from emboscope.errors import SettingsError
from emboscope.learning.regularizers.settings import RegularizerSettings
from emboscope.learning.toy import toy_scores
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.workflows.cells import register


class ToySettings(Settings):
    """A set in `TOY_SETS`, and whether and how clustering regularizes."""

    set: str = "mixed_imbalanced"
    clustering: Literal["none", "corrected", "released"] = "corrected"
    dec: PositiveFloat | None = None  # weight of the clustering; None: the published one of the set
    centers: Literal["kmeans", "class_means"] = "kmeans"
    head: Literal["logits", "released"] = "logits"  # released: with a softmax over the batch


def clustering_toy(
    settings: ToySettings, seed: int, progress: Progress = silent
) -> dict[str, float]:
    """Scores on a fifth of the points; `released` lets the gradient through the target."""
    if settings.clustering == "none" and settings.dec:
        raise SettingsError(
            f"dec: {settings.dec} without clustering; expected none. Choose clustering 'corrected'."
        )
    released = settings.clustering == "released"
    regularizers = RegularizerSettings(
        dec=settings.dec or 0.0,
        dec_detach=not released,
        dec_frequencies="batch" if released else "epoch",
        dec_centers=settings.centers,
    )
    chosen = None if settings.clustering == "none" else regularizers
    return toy_scores(settings.set, chosen, seed, settings.head == "released")


register("clustering_toy", ToySettings, clustering_toy)

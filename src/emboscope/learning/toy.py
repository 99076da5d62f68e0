"""The four sets of three Gaussians on which clustering as a regularizer was studied."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from emboscope.evaluation.metrics import mcc, scores
from emboscope.learning.architecture import Branch, Encoder
from emboscope.learning.loop import Rows, Task, fit_network
from emboscope.learning.models import EncoderClassifier
from emboscope.learning.reading import read_members
from emboscope.learning.regularizers.settings import RegularizerSettings
from emboscope.learning.settings import TrainSettings
from emboscope.registry import Registry

N_CLASSES = 3
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class ToySet:
    """Three isotropic Gaussians in three dimensions, and how they were trained on [1]_.

    Attributes
    ----------
    means : tuple of float
        Of each class, in every coordinate.
    sds : tuple of float
    sizes : tuple of int
    learning_rate, dec : float
        The latter is the published weight of the clustering.
    epochs, dec_start : int

    References
    ----------
    .. [1] The published code of the study of 2023 (EUSIPCO) on imbalanced data.
    """

    means: tuple[float, ...]
    sds: tuple[float, ...]
    sizes: tuple[int, ...]
    learning_rate: float
    epochs: int
    dec: float
    dec_start: int


_APART, _MIXED = (-2.0, 0.0, 2.0), (-1.0, 0.0, 2.5)
_EVEN, _UNEVEN = (500, 500, 500), (1000, 200, 4000)
TOY_SETS: Registry[ToySet] = Registry("toy set")
TOY_SETS["separable_balanced"] = ToySet(_APART, (0.5,) * 3, _EVEN, 5e-2, 50, 1.0, 5)
TOY_SETS["separable_imbalanced"] = ToySet(_APART, (0.5,) * 3, _UNEVEN, 5e-3, 50, 10.0, 1)
TOY_SETS["mixed_balanced"] = ToySet(_MIXED, (0.5, 0.45, 0.5), _EVEN, 1e-2, 100, 0.5, 1)
TOY_SETS["mixed_imbalanced"] = ToySet(_MIXED, (0.5, 0.45, 0.5), _UNEVEN, 5e-2, 50, 1.0, 5)


class ToyEncoder(Encoder):
    """Three coordinates to two features: a linear layer and softplus.

    Parameters
    ----------
    released : bool
        Whether the scores of a batch pass a softmax over its rows, as in the published code, before
        the loss takes them for logits. What is said of a row then depends on the others: where no
        row of a batch is of a rare class, one is taken for it.
    """

    view = "point"
    learning_rate = 1e-2
    n_features = 2

    def __init__(self, released: bool = False) -> None:
        super().__init__((3,))
        self.linear = nn.Linear(3, self.n_features)
        self.released = released

    def head(self, n_classes: int) -> nn.Module:
        """A linear layer."""
        linear = nn.Linear(self.n_features, n_classes)
        return nn.Sequential(linear, nn.Softmax(dim=0)) if self.released else linear

    def forward(self, points: Tensor) -> Tensor:
        """Features (batch, 2) of points (batch, 3)."""
        return nn.functional.softplus(self.linear(points))


def draw(toy: ToySet, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n_samples, 3) and classes (n_samples,), shuffled."""
    classes = np.repeat(np.arange(N_CLASSES), toy.sizes)
    rng.shuffle(classes)
    noise = rng.standard_normal((len(classes), 3))
    means, sds = np.array(toy.means)[classes], np.array(toy.sds)[classes]
    return (means[:, None] + sds[:, None] * noise).astype(np.float32), classes


def by_bayes_rule(toy: ToySet, points: np.ndarray) -> np.ndarray:
    """Class of greatest density times prior, (n_samples,), of points (n_samples, 3).

    No classifier errs less on average; what one does better on some draw is luck.
    """
    means, sds, sizes = np.array(toy.means), np.array(toy.sds), np.array(toy.sizes)
    squared = ((points[:, None] - means[:, None]) ** 2).sum(axis=2)  # (n_samples, class)
    log_density = -squared / (2 * sds**2) - 3 * np.log(sds)
    return (log_density + np.log(sizes)).argmax(axis=1)


def toy_scores(
    name: str, regularizers: RegularizerSettings | None, seed: int, released: bool = False
) -> dict[str, float]:
    """Scores of a fifth of a set, by a network trained on the rest; `mcc_bayes` of Bayes' rule.

    Parameters
    ----------
    name : str
        In `TOY_SETS`.
    regularizers : RegularizerSettings, optional
        With a clustering term; its weight is that of the set where it has none, its start is that
        of the set. Without, there is none.
    seed : int
        Of the points, the split and the initial weights.
    released : bool
        As of `ToyEncoder`; the test part is then read in batches as large as those that train.
    """
    toy, rng = TOY_SETS[name], np.random.default_rng(seed)
    points, y = draw(toy, rng)
    n_test = round(_TEST_SHARE * len(y))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EncoderClassifier(Branch(ToyEncoder(released)), N_CLASSES)
    chosen = regularizers or RegularizerSettings()
    if regularizers is not None:
        chosen = chosen.model_copy(
            update={"dec": chosen.dec or toy.dec, "dec_start": toy.dec_start}
        )
    settings = TrainSettings(
        epochs=toy.epochs,
        batch=32,
        learning_rate=toy.learning_rate,
        weight_decay=1e-7,
        optimizer="adam",
        schedule="constant",
        augment=(),
        mixup=0.0,
        regularizers=chosen,
    )
    test, train = _rows(points[:n_test], y[:n_test]), _rows(points[n_test:], y[n_test:])
    none = replace(test, views={"point": test.views["point"][:0]}, y=test.y[:0])
    fit_network(Task(network, train, none, N_CLASSES, seed=seed), settings, device="cpu")
    together = settings.batch if released else n_test
    logits = [
        read_members(network, {"point": part})[:, 0] for part in test.views["point"].split(together)
    ]
    of_network = scores(y[:n_test], torch.cat(logits).argmax(dim=1).numpy())
    return {**of_network, "mcc_bayes": mcc(y[:n_test], by_bayes_rule(toy, points[:n_test]))}


def _rows(points: np.ndarray, y: np.ndarray) -> Rows:
    return Rows({"point": torch.from_numpy(points)}, torch.from_numpy(y.astype(np.int64)))

"""How far the annotators of a study agree, and what they say together."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from emboscope.annotation.agreement import (
    agreement_interval,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    specific_agreement,
)
from emboscope.annotation.consensus import dawid_skene
from emboscope.errors import DataError
from emboscope.store.labels import hard
from emboscope.store.study import Study


@dataclass(frozen=True)
class Pair:
    """Two annotators.

    Attributes
    ----------
    annotators : tuple of str
    samples : int
        That both labeled.
    kappa : float
        Cohen's κ on them; NaN where it is not defined.
    """

    annotators: tuple[str, str]
    samples: int
    kappa: float


@dataclass(frozen=True)
class Agreement:
    """Figures of agreement on the samples with two labels or more.

    Attributes
    ----------
    annotators : tuple of str
    samples, disputed : int
        With two labels or more, and those of them on which not all agree.
    alpha : float
        Krippendorff's α.
    alpha_interval : tuple of float
        At 95 %, by bootstrap over patients; NaN of a single one.
    kappa, kappa_samples : float, int
        Fleiss' κ on the samples that all labeled, and how many those are.
    pairs : tuple of Pair
    specific : dict of str to float
        Of each class: given that one says it, how often another does.
    consensus : dict of str to int
        Samples of each class after Dawid and Skene, which weighs annotators by how they err.
    reliability : dict of str to float
        Of each annotator: how often the word is that of the consensus, mean over the classes.
    """

    annotators: tuple[str, ...]
    samples: int
    disputed: int
    alpha: float
    alpha_interval: tuple[float, float]
    kappa: float
    kappa_samples: int
    pairs: tuple[Pair, ...]
    specific: dict[str, float]
    consensus: dict[str, int]
    reliability: dict[str, float]


def study_agreement(study: Path, seed: int = 0) -> Agreement:
    """Agreement of the annotators of a study; unsure counts as no word.

    Raises
    ------
    DataError
        If no sample has the labels of two annotators.
    """
    with Study.open(study) as opened:
        names, votes = opened.votes()
        subjects, classes = opened.samples().subjects, opened.classes
    given = (votes >= 0).sum(axis=1)
    rows = given >= 2
    if not rows.any():
        raise DataError(
            f"study '{study}': no sample with the labels of two annotators; expected some, of "
            f"{', '.join(names) or 'anybody'} and another. Label the same samples under two names."
        )
    several, whole = votes[rows], votes[given == len(names)]
    alpha, interval = _alpha(several, subjects[rows], seed)
    skill = dawid_skene(votes, len(classes))
    said, counts = np.unique(hard(skill.distributions), return_counts=True)
    found = dict(zip(said.tolist(), counts.tolist(), strict=True))
    right = skill.confusions.diagonal(axis1=1, axis2=2).mean(axis=1)
    specific = specific_agreement(several, len(classes))
    return Agreement(
        annotators=names,
        samples=len(several),
        disputed=int(sum(len(set(row[row >= 0].tolist())) > 1 for row in several)),
        alpha=alpha,
        alpha_interval=interval,
        kappa=fleiss_kappa(whole) if len(whole) else float("nan"),
        kappa_samples=len(whole),
        pairs=tuple(
            _pair(names, votes, one, two) for one, two in combinations(range(len(names)), 2)
        ),
        specific=dict(zip(classes, specific.tolist(), strict=True)),
        consensus={name: found.get(number, 0) for number, name in enumerate(classes)},
        reliability=dict(zip(names, right.tolist(), strict=True)),
    )


def _alpha(votes: np.ndarray, subjects: np.ndarray, seed: int) -> tuple[float, tuple[float, float]]:
    """Krippendorff's α, and its interval over patients."""
    if np.unique(subjects).size < 2:
        return krippendorff_alpha(votes), (float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    found = agreement_interval(krippendorff_alpha, votes, rng, subjects)
    return found.mean, found.interval


def _pair(names: tuple[str, ...], votes: np.ndarray, one: int, two: int) -> Pair:
    columns = votes[:, [one, two]]
    both = int((columns >= 0).all(axis=1).sum())
    return Pair((names[one], names[two]), both, cohen_kappa(columns) if both else float("nan"))

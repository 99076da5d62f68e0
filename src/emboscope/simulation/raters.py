"""Three experts who look at each event and do not always agree."""

import numpy as np

LABELS = ("artifact", "gaseous", "solid")
N_RATERS = 3

# All fitted: on the expert set's mix two raters agree on embolus or not with a proportion of
# specific agreement of 0.91 (Siebler 1994), on clear emboli with κ 0.94 ... 0.99 (van Zuilen 1996),
# and on solid or gas with κ 0.6 ... 0.8.
CLEAR = 0.006  # chance that a clear event is given to the wrong side of embolus or not
WEAK = 0.50  # more of it at the detection limit of 3 dB
WEAK_FADE_DB = 2.5  # over which that falls by e
HARD = 0.35  # chance that an artifact made to resemble an embolus is taken for one
OTHER_KIND = 0.085  # chance that solid is taken for gaseous, or gaseous for solid
UNSURE_CLEAR, UNSURE_WEAK = 0.005, 0.25  # chance to say unknown first


def _weakness(levels_db: np.ndarray) -> np.ndarray:
    """1 at the detection limit, 0 for strong events."""
    return np.exp(-np.maximum(levels_db - 3, 0) / WEAK_FADE_DB)


def confusion(labels: np.ndarray, levels_db: np.ndarray, hard: np.ndarray) -> np.ndarray:
    """Chance of a rater's answers (artifact, gaseous, solid), (n_events, 3), rows of sum 1."""
    wrong_side = CLEAR + WEAK * _weakness(levels_db)
    wrong_side = np.where(labels == 0, np.where(hard, HARD, CLEAR), wrong_side)
    chances = np.empty((labels.size, 3))
    is_artifact = labels == 0
    chances[:, 0] = np.where(is_artifact, 1 - wrong_side, wrong_side)
    embolus = 1 - chances[:, 0]
    solid = np.select([is_artifact, labels == 1], [0.5, OTHER_KIND], 1 - OTHER_KIND)
    chances[:, 1], chances[:, 2] = embolus * (1 - solid), embolus * solid
    return chances


def rate_events(
    labels: np.ndarray, levels_db: np.ndarray, hard: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What each rater says.

    Parameters
    ----------
    labels : ndarray of int, shape (n_events,)
        True classes, indices into `LABELS`.
    levels_db : ndarray, shape (n_events,)
        Level over the blood.
    hard : ndarray of bool, shape (n_events,)
        Artifacts that resemble emboli.
    rng : Generator

    Returns
    -------
    votes : ndarray of int, shape (n_events, N_RATERS)
        The decision, which each rater was made to take.
    unsure : ndarray of bool, shape (n_events, N_RATERS)
        Who said `unknown` first; weak and hard events more often.
    """
    limits = confusion(labels, levels_db, hard).cumsum(axis=1)
    draws = rng.random((labels.size, N_RATERS))
    votes = (draws[:, :, None] > limits[:, None, :2]).sum(axis=2)
    doubt = UNSURE_CLEAR + UNSURE_WEAK * np.where(hard, 1.0, _weakness(levels_db))
    return votes, rng.random((labels.size, N_RATERS)) < doubt[:, None]


def soft_labels(votes: np.ndarray) -> np.ndarray:
    """Share of the raters for each class, shape (n_events, 3), rows of sum 1."""
    return (votes[:, :, None] == np.arange(len(LABELS))).mean(axis=1)

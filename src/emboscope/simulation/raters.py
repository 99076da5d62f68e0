"""Three experts who look at each event and do not always agree."""

import numpy as np

LABELS = ("artifact", "gaseous", "solid")
N_RATERS = 3

# chance that a rater, shown this class, says (artifact, gaseous, solid); chosen so that two raters
# agree on embolus or not with κ about 0.94 (van Zuilen 1996), on solid or gas with κ 0.6 ... 0.8
CONFUSION = np.array([[0.985, 0.0075, 0.0075], [0.01, 0.91, 0.08], [0.015, 0.08, 0.905]])


def rate_events(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What each rater says.

    Parameters
    ----------
    labels : ndarray of int, shape (n_events,)
        True classes, indices into `LABELS`.
    rng : Generator

    Returns
    -------
    votes : ndarray of int, shape (n_events, N_RATERS)
    """
    limits = CONFUSION[labels].cumsum(axis=1)
    draws = rng.random((labels.size, N_RATERS))
    return (draws[:, :, None] > limits[:, None, :2]).sum(axis=2)


def soft_labels(votes: np.ndarray) -> np.ndarray:
    """Share of the raters for each class, shape (n_events, 3), rows of sum 1."""
    return (votes[:, :, None] == np.arange(len(LABELS))).mean(axis=1)

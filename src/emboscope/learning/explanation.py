"""Where a network looks, and which known segments it takes for alike."""

import numpy as np
import torch

from emboscope.learning.estimator import SignalClassifier

_ROWS = 64  # of one pass with gradient


def saliency(
    classifier: SignalClassifier,
    views: dict[str, np.ndarray],
    n_draws: int = 8,
    noise: float = 0.1,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """How strongly each sample and pixel moves the log-probability of the predicted class [1]_.

    The absolute gradient, averaged over copies of the views with noise, times the standard
    deviation of the view, so that views can be compared. It tells where a small change would
    count, not why the class was chosen.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted.
    views : dict of ndarray
        As in `fit`; few rows.
    n_draws : int
        Copies.
    noise : float
        Standard deviation of the noise, over that of the view.
    seed : int

    Returns
    -------
    saliency : dict of ndarray
        By view, in its shape; not negative.

    References
    ----------
    .. [1] Smilkov, D., Thorat, N., Kim, B., Viégas, F., Wattenberg, M. (2017). SmoothGrad: removing
       noise by adding noise. The target and the scaling are ours.
    """
    tensors = classifier.tensors(views)
    network = classifier.network_.eval()
    spread = {name: _spread(view) for name, view in tensors.items()}
    generator = torch.Generator().manual_seed(seed)
    found = {name: np.zeros(view.shape, np.float32) for name, view in tensors.items()}
    n_samples = len(next(iter(tensors.values())))
    for rows in torch.arange(n_samples).split(_ROWS):
        batch = {name: view[rows] for name, view in tensors.items()}
        with torch.no_grad():
            predicted = network(batch).argmax(dim=1)
        for _ in range(n_draws):
            noisy = {
                name: (view + noise * spread[name] * torch.randn(view.shape, generator=generator))
                .requires_grad_()
                for name, view in batch.items()
            }  # fmt: skip
            log_p = network(noisy).log_softmax(dim=1)
            total = log_p.gather(1, predicted[:, None]).sum()
            gradients = torch.autograd.grad(total, list(noisy.values()))
            for name, gradient in zip(noisy, gradients, strict=True):
                found[name][rows.numpy()] += (spread[name] * gradient.abs() / n_draws).numpy()
    return found


def _spread(view: torch.Tensor) -> torch.Tensor:
    """Standard deviation of a view; of features by hand that of each, whose units differ."""
    return view.std(dim=0, correction=0) if view.ndim == 2 else view.std()


def nearest_known(known: np.ndarray, asked: np.ndarray, k: int = 3) -> np.ndarray:
    """The k rows of known embeddings whose direction is nearest to that of each asked one.

    Parameters
    ----------
    known : ndarray, shape (n_known, width)
    asked : ndarray, shape (n_asked, width)
    k : int
        At most n_known are given.

    Returns
    -------
    rows : ndarray of int, shape (n_asked, min(k, n_known))
        Nearest first; of equal ones the first.
    """
    alike = _unit(asked) @ _unit(known).T  # cosines
    return np.argsort(-alike, axis=1, kind="stable")[:, :k]


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)

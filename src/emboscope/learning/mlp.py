"""Dense layers on features by hand, each of which is coded by its quantiles first."""

import numpy as np
import torch
from torch import Tensor, nn

from emboscope.learning.architecture import Encoder, NetworkSettings

_REACH = 3.0  # standard deviations that the codes span until they are fitted
_LEAST_WIDTH = 1e-12  # of a bin: equal quantiles make a step


class QuantileCode(nn.Module):
    """How far each feature has come in each of its quantile bins: 0 before, 1 beyond [1]_.

    A number becomes as sharp for a network as for a tree, whatever its unit and law.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., Babenko, A. (2022). On embeddings for numerical features in
       tabular deep learning. NeurIPS. Piecewise linear encoding.
    """

    edges: Tensor

    def __init__(self, n_features: int, n_bins: int) -> None:
        super().__init__()
        edges = torch.linspace(-_REACH, _REACH, n_bins + 1).repeat(n_features, 1)
        self.register_buffer("edges", edges)  # (feature, n_bins + 1), ascending

    def fit(self, values: Tensor) -> None:
        """Take the quantiles of values (n_samples, feature)."""
        shares = np.linspace(0, 1, self.edges.shape[1])
        edges = np.quantile(values.numpy().astype(np.float64), shares, axis=0)
        self.edges.copy_(torch.from_numpy(edges.T))

    def forward(self, values: Tensor) -> Tensor:
        """Codes (batch, feature * bin), from −1 to 1."""
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        passed = (values[:, :, None] - low) / (high - low).clamp(min=_LEAST_WIDTH)
        return 2 * passed.clamp(0, 1).flatten(1) - 1


class Mlp(Encoder):
    """Quantile codes, then two dense layers with batch norm, ReLU and dropout.

    Parameters
    ----------
    shape : tuple of int
        (n_features,).
    settings : NetworkSettings, optional
        `mlp`: width, bins of a feature, dropout.
    """

    view = "measures"
    learning_rate = 3e-3
    standardized = False

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__(shape, settings)
        self.check_shape(1, 1)
        sizes = self.settings.mlp
        self.code = QuantileCode(shape[0], sizes.n_bins)
        self.layers = nn.Sequential(
            *_layer(shape[0] * sizes.n_bins, sizes.width, sizes.dropout),
            *_layer(sizes.width, sizes.width, sizes.dropout),
        )
        self.n_features = sizes.width

    def fit_to(self, values: Tensor) -> None:
        """Take the quantiles of the training part, (n_samples, n_features)."""
        self.code.fit(values)

    def forward(self, values: Tensor) -> Tensor:
        """Features (batch, n_features) of measures (batch, feature)."""
        return self.layers(self.code(values))


def _layer(n_in: int, n_out: int, dropout: float) -> tuple[nn.Module, ...]:
    """Linear, batch norm, ReLU, dropout."""
    return (nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(),
            nn.Dropout(dropout))  # fmt: skip

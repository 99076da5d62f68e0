"""What all encoders share: their settings, their heads, what each says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from emboscope.errors import DataError
from emboscope.settings import Settings

Profile = Literal["corrected", "paper", "released"]


class AttentionSettings(Settings):
    """What layers of attention share."""

    width: PositiveInt = 64  # of a token
    n_heads: PositiveInt = 4

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.n_heads:
            raise ValueError(
                f"n_heads {self.n_heads}; expected a divisor of width, {self.width}. Change either"
            )
        return self


class TransformerSettings(AttentionSettings):
    """Sizes of the 1-D CNN-Transformer. The defaults are those published for the EEG.

    `init` of its convolutions: that of PyTorch, as published, which leaves of white noise of
    variance 1 a standard deviation of 0.12 where the positions, of 0.7, are added; or `he`, which
    lets it keep its size [1]_: 4.4 there, and 0.8 of the class token in place of 8.

    References
    ----------
    .. [1] He, K., Zhang, X., Ren, S., Sun, J. (2015). Delving deep into rectifiers. ICCV.
       Equation 14.
    """

    hidden: PositiveInt = 8
    n_layers: PositiveInt = 4
    n_conv: PositiveInt = 2  # times that the shared convolution is applied
    projection: PositiveInt = 4  # of the head
    dropout: float = Field(default=0.3, ge=0, lt=1)
    init: Literal["default", "he"] = "default"


PTB = TransformerSettings(
    width=128, n_heads=8, hidden=64, n_layers=8, n_conv=4, projection=10, dropout=0.1
)
HITS = PTB  # by the published count, with two input channels


class VitSettings(AttentionSettings):
    """Sizes of the vision transformer."""

    patch: PositiveInt = 8  # rows and frames of a token
    hidden: PositiveInt = 128
    n_layers: PositiveInt = 3
    dropout: float = Field(default=0.1, ge=0, lt=1)


class LstmSettings(Settings):
    """Sizes of the LSTM and of the convolutions before it."""

    width: PositiveInt = 32  # filters of each convolution
    hidden: PositiveInt = 64  # units in each direction


class MlpSettings(Settings):
    """Sizes of the dense layers on features by hand."""

    width: PositiveInt = 64
    n_bins: PositiveInt = 16  # of a feature, with as many training rows in each
    dropout: float = Field(default=0.3, ge=0, lt=1)


class NetworkSettings(Settings):
    """How a network is built. Every default stands here and nowhere else."""

    profile: Profile = "corrected"
    dropout: float = Field(default=0.2, ge=0, lt=1)  # of the linear heads
    n_filters: PositiveInt = 64  # of the first block of cnn2d
    compact_width: PositiveInt = 24  # filters of the first block of the compact encoders
    resnet_width: PositiveInt = 32  # filters of the first block of resnet
    transformer: TransformerSettings = TransformerSettings()
    vit: VitSettings = VitSettings()
    lstm: LstmSettings = LstmSettings()
    mlp: MlpSettings = MlpSettings()
    members: tuple[str, ...] = ("cnn1d_compact", "cnn2d_compact")  # of a fusion; ENCODER[:VIEW]
    fusion_width: PositiveInt = 64  # of each member's projection, where features are fused
    fusion_projection: PositiveInt | None = None  # of the published head; None: a linear head
    guide_at: Literal["encoder", "projection"] = "encoder"  # what the guiding heads read


_AXES = {
    1: "(n_features,)",
    2: "(n_channels, n_times)",
    3: "(n_channels, n_freqs, n_frames)",
}


class Encoder(nn.Module):
    """A view in, features (batch, n_features) out. Built from the shape of a sample and settings.

    Attributes
    ----------
    view : str
        Which view it reads.
    learning_rate : float
        Peak rate of AdamW that suits it.
    standardized : bool
        Whether it wants its view with mean 0 and standard deviation 1.
    n_features : int
        Length of its output.
    """

    view: ClassVar[str]
    learning_rate: ClassVar[float]
    standardized: ClassVar[bool] = True
    n_features: int

    def __init__(self, shape: tuple[int, ...], settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.settings = settings or NetworkSettings()

    def head(self, n_classes: int) -> nn.Module:
        """The classifier that belongs on its features."""
        settings = self.settings
        return LinearHead(self.n_features, n_classes, settings.dropout, settings.profile)

    def guide(self, n_classes: int) -> nn.Module:
        """The auxiliary classifier of guided training [1]_, of training only.

        References
        ----------
        .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
           embedded clustering regularization for multifeature medical signal classification.
           Pattern Recognition, 143.
        """
        settings = self.settings
        return LinearHead(self.n_features, n_classes, settings.dropout, settings.profile)

    def fit_to(self, values: Tensor) -> None:
        """Take what it needs to know of the training part; most need nothing."""

    def check_shape(self, n_axes: int, least: int) -> None:
        """Refuse a view of another number of axes, or too small."""
        if len(self.shape) != n_axes or min(self.shape[1:] or self.shape) < least:
            axes = _AXES[n_axes]
            raise DataError(
                f"{self.view}: a view of shape {self.shape}; expected {axes}, sides of at least "
                f"{least}. Choose another model or a longer segment."
            )


class Standardize(nn.Module):
    """Subtract the mean, divide by the standard deviation of the training part."""

    mean: Tensor
    sd: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("sd", torch.ones(()))

    def fit(self, values: Tensor) -> None:
        """Take the statistics of all values of a view."""
        self.mean.copy_(values.mean(dtype=torch.float64))
        self.sd.copy_(values.double().std().clamp(min=1e-9))

    def forward(self, values: Tensor) -> Tensor:
        """Standardized values, in the shape of the view."""
        return (values - self.mean) / self.sd  # as it was


class Branch(nn.Module):
    """One view, standardized and encoded.

    Parameters
    ----------
    encoder : Encoder
    view : str, optional
        The view to read; that of the encoder's kind without.
    """

    def __init__(self, encoder: Encoder, view: str | None = None) -> None:
        super().__init__()
        self.view = view or encoder.view
        self.standardize = Standardize()
        self.encoder = encoder

    def fit_to(self, values: Tensor) -> None:
        """Take the statistics of the training part."""
        if self.encoder.standardized:
            self.standardize.fit(values)
        self.encoder.fit_to(values)

    def forward(self, views: Mapping[str, Tensor]) -> Tensor:
        """Features (batch, n_features)."""
        return self.encoder(self.standardize(views[self.view]))


@dataclass(frozen=True)
class Outputs:
    """What one pass of a network gives: all that any term of a loss needs.

    Attributes
    ----------
    logits : tuple of Tensor, shape (batch, class)
        Each is trained with the loss of the labels.
    features : tuple of Tensor, shape (batch, n_features)
        Of each encoder.
    projected : tuple of Tensor
        The features as the fusion takes them.
    embedding : Tensor, shape (batch, n_embedding)
        What the last head reads; of a late fusion all features side by side.
    present : Tensor of bool, shape (batch, member), optional
        Which members had their view; None: all.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...]
    projected: tuple[Tensor, ...]
    embedding: Tensor
    present: Tensor | None = None


class Network(nn.Module):
    """Views in, logits or log-probabilities (batch, class) out.

    Attributes
    ----------
    temperature : Tensor, shape ()
        What the logits are divided by: 1 until it is fitted to held-out rows.
    n_embedding : int
        Width of the embedding.
    """

    temperature: Tensor
    n_embedding: int

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    @property
    def branches(self) -> list[Branch]:
        """Its encoders with the views that they read, in order."""
        return [part for part in self.modules() if isinstance(part, Branch)]

    @property
    def projected_widths(self) -> list[int]:
        """Width of each member's features as the fusion takes them."""
        return [branch.encoder.n_features for branch in self.branches]

    def outputs(self, views: Mapping[str, Tensor], present: Tensor | None = None) -> Outputs:
        """One pass; `present` (batch, member) tells which members may be seen."""
        raise NotImplementedError

    def decide(self, outputs: Outputs) -> Tensor:
        """Logits or log-probabilities (batch, class) before the temperature."""
        return outputs.logits[0]

    def shares(self, outputs: Outputs) -> Tensor | None:
        """Weight of each member for each class in each sample, (batch, member, class).

        Over the members they sum to 1. None of a network that weighs nothing.
        """
        return None

    def member_logits(self, views: Mapping[str, Tensor]) -> list[Tensor]:
        """Logits (batch, class) that are trained."""
        return list(self.outputs(views).logits)

    def forward(self, views: Mapping[str, Tensor]) -> Tensor:
        """Logits or log-probabilities (batch, class)."""
        return self.decide(self.outputs(views)) / self.temperature


class Penalized(nn.Module):
    """A part of a network that adds a term of its own to the loss, as quantizers do."""

    @property
    def pressed(self) -> bool:
        """Whether the term counts."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """The weighted term, scalar."""
        raise NotImplementedError


class Scheduled(nn.Module):
    """A part of a network that changes as its training goes on, as gradual pruning does."""

    def advance(self, share: float) -> None:
        """Told before each step which share of all steps is done, in [0, 1)."""
        raise NotImplementedError


class LinearHead(nn.Module):
    """Dropout and a linear layer; `released` drops logits instead, as the published code does."""

    def __init__(self, n_features: int, n_classes: int, dropout: float, profile: Profile) -> None:
        super().__init__()
        self.linear = nn.Linear(n_features, n_classes)
        self.before = nn.Dropout(0.0 if profile == "released" else dropout)
        self.after = nn.Dropout(dropout if profile == "released" else 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (batch, class)."""
        return self.after(self.linear(self.before(features)))  # (batch, class)


def projection_head(n_features: int, projection: int, n_classes: int) -> nn.Sequential:
    """LayerNorm, Linear, LayerNorm, Linear, without an activation, as published."""
    return nn.Sequential(
        nn.LayerNorm(n_features),
        nn.Linear(n_features, projection),
        nn.LayerNorm(projection),
        nn.Linear(projection, n_classes),
    )

"""How a network is trained."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from emboscope.learning.losses.settings import LossSettings
from emboscope.learning.regularizers.settings import RegularizerSettings
from emboscope.settings import Settings


class TrainSettings(Settings):
    """How a network is trained. Every default stands here and nowhere else."""

    epochs: PositiveInt = 16
    batch: PositiveInt = Field(default=128, ge=2)
    learning_rate: PositiveFloat | None = None  # peak; None: what suits the encoder
    weight_decay: NonNegativeFloat = 0.05
    optimizer: str = "adamw"  # a name in OPTIMIZERS
    schedule: str = "one_cycle"  # of the rate, a name in SCHEDULES
    warmup_share: float = Field(default=0.2, gt=0, lt=1)  # of all steps, for one_cycle
    warmup_steps: PositiveInt = 4000  # for noam
    loss: str = "ce"  # a name in LOSSES
    loss_settings: LossSettings = LossSettings()
    kept_share: float = Field(default=1.0, gt=0, le=1)  # of a batch, the rows of smallest loss
    class_weights: bool = False  # n/(K·n_c), for classes of unequal number
    sampler: Literal["shuffled", "balanced"] = "shuffled"  # balanced: classes drawn alike, often
    augment: tuple[str, ...] = ("flip_sign", "reverse_time")  # names in AUGMENTATIONS
    mixup: NonNegativeFloat = 0.2  # both parameters of the Beta law of the mixture; 0: none
    modality_dropout: float = Field(default=0.0, ge=0, lt=1)  # of each member, in a fusion
    fusion_penalty: PositiveFloat = 1e-3  # of a late fusion: towards equal weights
    warm_start: NonNegativeInt = 0  # first epochs with the cross-entropy of all rows
    keep: Literal["last", "best"] = "last"  # epoch, by the loss of the validation part
    patience: PositiveInt | None = None  # epochs without a better one, then training ends
    devices: PositiveInt = 1  # of the accelerator; each takes its share of every batch
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    regularizers: RegularizerSettings = RegularizerSettings()

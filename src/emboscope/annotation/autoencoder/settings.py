"""How encoders of images are built and trained. Every default stands here and nowhere else."""

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from emboscope.settings import Settings


class FeatureSettings(Settings):
    """What all encoders share."""

    latent: PositiveInt = 32
    epochs: NonNegativeInt = 20
    batch: PositiveInt = 32
    learning_rate: PositiveFloat = 5e-3
    weight_decay: NonNegativeFloat = 1e-5
    seed: int = 0


class AutoEncoderSettings(FeatureSettings):
    """The auto-encoder."""


PAPER = AutoEncoderSettings(epochs=50, batch=32, learning_rate=0.05)


class ClusteringSettings(FeatureSettings):
    """The auto-encoder, then refined so that its codes form clusters."""

    n_clusters: PositiveInt = 10  # a few more than there are classes
    dec_weight: NonNegativeFloat = 0.01  # of the clustering term, beside the reconstruction
    dec_epochs: NonNegativeInt = 10  # after the `epochs` of reconstruction alone


class VariationalSettings(FeatureSettings):
    """The variational auto-encoder."""

    kl_weight: NonNegativeFloat = 0.3  # β; 1 is the evidence lower bound


class ContrastiveSettings(FeatureSettings):
    """The contrastive encoder, and how a second view of an image may differ from the first.

    Shares are of the height or the width. The defaults suit two-sided Doppler spectrograms: a
    change of the vertical (frequency) axis stays so small that an event keeps its side of zero.
    An image is never mirrored, in either direction: the side is the direction of flow, and a
    chirp turned backwards is another sound.
    """

    epochs: NonNegativeInt = 40  # learns more slowly than to rebuild
    batch: PositiveInt = 256  # every other image of the batch is a counterexample
    temperature: PositiveFloat = 0.5
    vertical_shift: float = Field(default=0.03, ge=0, lt=1)
    horizontal_shift: float = Field(default=0.1, ge=0, lt=1)
    vertical_crop: float = Field(default=0.0, ge=0, lt=1)  # largest share cut away
    horizontal_crop: float = Field(default=0.3, ge=0, lt=1)
    gain: float = Field(default=0.2, ge=0, lt=1)  # largest relative change of the amplitude
    noise: NonNegativeFloat = 0.05  # standard deviation, of the range of the images

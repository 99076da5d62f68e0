"""How strongly each term weighs, and how it is formed."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from emboscope.settings import Settings


class RegularizerSettings(Settings):
    """Weights of the terms beside the loss of the labels; 0 leaves a term out.

    Published for guided training with DEC [1]_: `guided` (1.0, 0.01), of the waveform and the
    spectrogram (β and α), `dec` 1e-4 (γ), `dec_start` 50 of 200 epochs.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    guided: tuple[NonNegativeFloat, ...] = ()  # of each member, in their order; one for all
    dec: NonNegativeFloat = 0.0
    dec_start: NonNegativeInt | None = None  # epoch; None: after a quarter of them
    dec_centers: Literal["kmeans", "class_means"] = "kmeans"  # at the start
    dec_detach: bool = True  # the target is a constant; False: the released code, which repels
    dec_frequencies: Literal["epoch", "batch"] = "epoch"
    dec_restart: bool = False  # moments and rate begin anew at the start, as in the released code
    links: NonNegativeFloat = 0.0
    contrastive: NonNegativeFloat = 0.0
    contrastive_temperature: PositiveFloat = 0.1

    @property
    def clusters(self) -> bool:
        """Whether there is a clustering term."""
        return self.dec > 0

    def guided_weights(self, n_members: int) -> tuple[float, ...]:
        """Weight of the guiding head of each member; empty where there is none."""
        weights = self.guided * n_members if len(self.guided) == 1 else self.guided
        return weights if any(weights) else ()

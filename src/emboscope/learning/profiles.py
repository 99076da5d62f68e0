"""The published settings of each model, to be compared with the defaults."""

from dataclasses import dataclass

from emboscope.errors import SettingsError
from emboscope.learning.architecture import NetworkSettings, Profile, TransformerSettings
from emboscope.learning.regularizers.settings import RegularizerSettings
from emboscope.learning.settings import TrainSettings

_GUIDED = (1.0, 0.01)  # of the waveform and the spectrogram


@dataclass(frozen=True)
class Published:
    """What the papers [1]_ trained with on one kind of signal.

    Attributes
    ----------
    alone, fused : TransformerSettings
        Of the 1-D CNN-Transformer by itself, and in an intermediate fusion.
    rates : dict of str to float
        Base learning rate of `cnn2d` (Adam), `cnn1d_transformer` and `fused` (Noam).
    batches, epochs : dict of str to int
    weight_decay : float
        Of `cnn2d`; that of the others was never passed on.

    References
    ----------
    .. [1] Vindas, Y., Roux, E., Guépié, B. K., Almar, M., Delachartre, P. (2023). Guided deep
       embedded clustering regularization for multifeature medical signal classification. Pattern
       Recognition, 143.
    """

    alone: TransformerSettings
    fused: TransformerSettings
    rates: dict[str, float]
    batches: dict[str, int]
    epochs: dict[str, int]
    weight_decay: float


EEG = Published(
    alone=TransformerSettings(),
    fused=TransformerSettings(hidden=64),
    rates={"cnn2d": 1e-3, "cnn1d_transformer": 0.3, "fused": 0.3},
    batches={"cnn2d": 32, "cnn1d_transformer": 64, "fused": 32},
    epochs={"cnn2d": 100, "cnn1d_transformer": 100, "fused": 200},
    weight_decay=1e-5,
)
ECG = Published(
    alone=TransformerSettings(
        width=128, n_heads=8, hidden=64, n_layers=8, n_conv=4, projection=10, dropout=0.1
    ),
    fused=TransformerSettings(width=128, hidden=64, projection=10, dropout=0.1),
    rates={"cnn2d": 1e-4, "cnn1d_transformer": 0.1, "fused": 0.3},
    batches={"cnn2d": 32, "cnn1d_transformer": 32, "fused": 32},
    epochs={"cnn2d": 50, "cnn1d_transformer": 150, "fused": 150},
    weight_decay=1e-7,
)


def published_settings(
    model: str, signal: Published, profile: Profile = "released"
) -> tuple[NetworkSettings, TrainSettings]:
    """Network and training as published, for the models that were.

    `released` also repeats what the code does and the papers do not say: batch-norm momentum 0.99,
    dropout of logits, a gradient through the target of the clustering, frequencies of a batch, and
    moments that begin anew with the clustering. The learning rate of the whole training, no
    augmentation, no mixing and the last epoch are common to both. The members of `hybrid_late` are
    trained side by side with the settings of `cnn2d`, which is not as published: there each
    had its own.

    Parameters
    ----------
    model : str
        `cnn2d`, `cnn1d_transformer`, `hybrid_late`, `hybrid_concat` or `hybrid_weighted`.
    signal : Published
        `EEG` or `ECG`; the HITS were trained as the ECG.
    profile : str
        `paper` or `released`.

    Raises
    ------
    SettingsError
        For another model.
    """
    known = ("cnn2d", "cnn1d_transformer", "hybrid_late", "hybrid_concat", "hybrid_weighted")
    if model not in known:
        raise SettingsError(
            f"profile '{profile}': nothing is published of '{model}'; expected one of "
            f"{', '.join(known)}. Leave the profile out."
        )
    fused = model in {"hybrid_concat", "hybrid_weighted"}
    which = "fused" if fused else "cnn2d" if model == "hybrid_late" else model
    transformer = signal.fused if fused else signal.alone
    network = NetworkSettings(
        profile=profile,
        dropout=transformer.dropout if fused else 0.2,
        transformer=transformer,
        members=("cnn1d_transformer", "cnn2d"),
        fusion_projection=transformer.projection,
        guide_at="projection" if profile == "paper" else "encoder",
    )
    noam = which != "cnn2d"
    training = TrainSettings(
        epochs=signal.epochs[which],
        batch=signal.batches[which],
        learning_rate=signal.rates[which],
        weight_decay=0.0 if noam else signal.weight_decay,
        optimizer="adam_noam" if noam else "adam",
        schedule="noam" if noam else "constant",
        class_weights=True,
        augment=(),
        mixup=0.0,
        regularizers=_regularizers(profile, signal is ECG and model == "hybrid_weighted")
        if fused
        else RegularizerSettings(),
    )
    return network, training


def _regularizers(profile: Profile, stronger: bool) -> RegularizerSettings:
    """Guided losses and clustering; the weighted sum of beats had weights of its own."""
    released = profile == "released"
    return RegularizerSettings(
        guided=(0.1, 0.01) if stronger else _GUIDED,
        dec=0.1 if stronger else 1e-4,
        dec_start=50,
        dec_detach=not released,
        dec_frequencies="batch" if released else "epoch",
        dec_restart=released,
    )

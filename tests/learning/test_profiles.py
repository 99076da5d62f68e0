"""The published settings build the published networks and rates."""

import pytest

from emboscope.errors import SettingsError
from emboscope.learning.models import build_network
from emboscope.learning.objective import Objective
from emboscope.learning.profiles import ECG, EEG, published_settings
from emboscope.learning.schedules import optimizer_of

ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}
BEATS = {"waveform": (1, 187), "spectrogram": (1, 32, 39)}


@pytest.mark.parametrize(
    ("model", "signal", "shapes", "parameters", "peak"),
    [
        ("cnn2d", EEG, ESR, 1_555_842, 1e-3),
        ("cnn1d_transformer", EEG, ESR, 109_942, 5.92927e-4),
        ("hybrid_concat", EEG, ESR, 1_839_386, 5.92927e-4),
        ("hybrid_weighted", ECG, BEATS, 2_141_050, 4.19263e-4),
        ("cnn2d", ECG, BEATS, 1_555_842, 1e-4),
        ("cnn1d_transformer", ECG, BEATS, 765_876, 1.39754e-4),
    ],
)
def test_published_settings_give_published_counts_and_rates(
    model, signal, shapes, parameters, peak
):
    network, training = published_settings(model, signal)
    objective = Objective(build_network(model, shapes, 2, network), 2, training)
    assert sum(each.numel() for each in objective.parameters()) == parameters
    optimizer = optimizer_of(objective.network, objective.own_parameters, training)
    for group in optimizer.param_groups:
        assert group["peak"] == pytest.approx(peak, rel=1e-5)


def test_the_released_profile_repeats_what_the_paper_does_not_say():
    released = published_settings("hybrid_concat", EEG)
    paper = published_settings("hybrid_concat", EEG, "paper")
    assert not released[1].regularizers.dec_detach
    assert released[1].regularizers.dec_restart
    assert paper[1].regularizers.dec_detach
    assert (released[0].guide_at, paper[0].guide_at) == ("encoder", "projection")
    assert released[1].augment == paper[1].augment == ()
    assert released[1].keep == "last"


def test_a_model_that_was_not_published_is_refused():
    with pytest.raises(SettingsError, match="nothing is published of 'vit'; expected one of cnn2d"):
        published_settings("vit", EEG)

"""How the rate goes, and who learns at which."""

import pytest

from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.models import build_network
from emboscope.learning.objective import Objective
from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.schedules import Step, noam, noam_peak, one_cycle, optimizer_of
from emboscope.learning.settings import TrainSettings

ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}


@pytest.mark.parametrize(
    ("base", "width", "step", "published"),
    [
        (0.3, 64, 1, 1.48232e-7),
        (0.3, 64, 4000, 5.92927e-4),
        (0.1, 128, 4000, 1.39754e-4),
        (0.3, 128, 4000, 4.19263e-4),
    ],
)
def test_noam_of_the_published_settings(base, width, step, published):
    share = noam(Step(step - 1, 100_000, TrainSettings()))
    assert share * noam_peak(base, width, 4000) == pytest.approx(published, rel=1e-5)


def test_noam_falls_by_the_root_of_the_step():
    later = [noam(Step(number - 1, 1, TrainSettings())) for number in (4000, 16_000)]
    assert later == pytest.approx([1, 0.5])


def test_one_cycle_peaks_after_the_warm_up():
    shares = [one_cycle(Step(number, 100, TrainSettings())) for number in range(100)]
    assert max(shares) == shares[20] == 1
    assert shares[0] == pytest.approx(1 / 25)
    assert shares[-1] < 2e-3


@pytest.mark.parametrize("model", ["hybrid_late", "hybrid_gated", "cnn2d_compact"])
def test_every_parameter_learns_once(model):
    settings = TrainSettings(regularizers=RegularizerSettings(guided=(1.0,), dec=1.0))
    network = build_network(model, ESR, 2, NetworkSettings(compact_width=4))
    objective = Objective(network, 2, settings)
    groups = optimizer_of(network, objective.own_parameters, settings).param_groups
    chosen = [id(each) for group in groups for each in group["params"]]
    assert sorted(chosen) == sorted(
        id(each) for each in objective.parameters() if each.requires_grad
    )


def test_what_is_shared_learns_at_the_lowest_rate_of_the_members():
    settings = NetworkSettings(members=("cnn1d_transformer", "cnn2d"), n_filters=4)
    network = build_network("hybrid_weighted", ESR, 2, settings)
    groups = optimizer_of(network, [], TrainSettings()).param_groups
    assert [group["peak"] for group in groups] == [1e-3, 2e-3, 1e-3]

"""Fusions: published counts, members that are missing, and rules by hand."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from emboscope.compression.cost import count_macs
from emboscope.errors import DataError, SettingsError
from emboscope.export.onnx import export_onnx
from emboscope.learning.architecture import NetworkSettings, TransformerSettings
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.losses import LOSSES
from emboscope.learning.models import build_network
from emboscope.learning.objective import Labels, Objective
from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.schedules import optimizer_of
from emboscope.learning.settings import TrainSettings
from onnx_files import runtime_probabilities

ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)}
BEATS = {"waveform": (1, 187), "spectrogram": (1, 32, 39)}
PUBLISHED = ("cnn1d_transformer", "cnn2d")
OF_ESR = NetworkSettings(
    members=PUBLISHED,
    transformer=TransformerSettings(hidden=64),
    dropout=0.3,
    fusion_projection=4,
)
OF_BEATS = NetworkSettings(
    members=PUBLISHED,
    transformer=TransformerSettings(width=128, hidden=64, dropout=0.1),
    dropout=0.1,
    fusion_projection=10,
)
GDEC = TrainSettings(regularizers=RegularizerSettings(guided=(1.0, 0.01), dec=1e-4))
COMPACT = NetworkSettings(compact_width=4)


def count(network):
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


@pytest.mark.parametrize(
    ("model", "shapes", "settings", "alone", "in_training"),
    [
        ("hybrid_concat", ESR, OF_ESR, 1_830_486, 1_839_386),
        ("hybrid_weighted", ESR, OF_ESR, 1_830_104, 1_838_876),
        ("hybrid_concat", BEATS, OF_BEATS, 2_128_820, 2_141_944),
        ("hybrid_weighted", BEATS, OF_BEATS, 2_128_054, 2_141_050),
    ],
)
def test_published_counts_of_the_fusions(model, shapes, settings, alone, in_training):
    network = build_network(model, shapes, 2, settings)
    assert count(network) == alone
    assert count(Objective(network, 2, GDEC)) == in_training


def views(n=3, shapes=ESR):
    return {name: torch.randn(n, *shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("fusion", list(FUSIONS))
def test_an_absent_member_has_no_influence(fusion):
    rule = FUSIONS[fusion](3, 4)
    parts = torch.randn(5, 3, 4)
    present = torch.ones(5, 3, dtype=torch.bool)
    present[:, 1] = False
    other = parts.clone()
    other[:, 1] = 1e6
    assert_close(rule(parts, present), rule(other, present))
    assert rule(parts, present).shape == (5, rule.n_out)
    shares = rule.shares(parts, present)
    if shares is not None:
        assert_close(shares.sum(dim=1), torch.ones(5))
        assert (shares[:, 1] == 0).all()


def test_rules_by_hand():
    parts = torch.tensor([[[1.0, 2.0], [3.0, 5.0]]])
    both, first = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    assert FUSIONS["concat"](2, 2)(parts, first).tolist() == [[1, 2, 0, 0]]
    assert FUSIONS["sum"](2, 2)(parts, both).tolist() == [[4, 7]]
    assert FUSIONS["sum"](2, 2)(parts, first).tolist() == [[2, 4]]
    assert FUSIONS["product"](2, 2)(parts, both).tolist() == [[3, 10]]
    assert FUSIONS["product"](2, 2)(parts, first).tolist() == [[1, 2]]
    weighted = FUSIONS["weighted"](2, 2)
    weighted.scores.data = torch.tensor([0.0, 1.0]) * torch.log(torch.tensor(3.0))
    assert_close(weighted(parts, both), torch.tensor([[2.5, 4.25]]))


@pytest.mark.parametrize("model", ["hybrid_late", *(f"hybrid_{name}" for name in FUSIONS)])
def test_a_missing_view_is_a_member_that_is_not_seen(model):
    network = build_network(model, ESR, 2, COMPACT).eval()
    given = views()
    with torch.no_grad():
        alone = network({"waveform": given["waveform"]})
        present = torch.tensor([[True, False]]).expand(3, -1)
        hidden = network.decide(network.outputs(given, present))
    assert_close(alone, hidden)
    assert alone.isfinite().all()


def test_late_fusion_without_a_view_is_the_other_member():
    network = build_network("hybrid_late", ESR, 2, COMPACT).eval()
    given = views()
    with torch.no_grad():
        alone = network({"spectrogram": given["spectrogram"]})
        member = network.member_logits(given)[1].log_softmax(dim=1)
    assert_close(alone, member)


def test_no_view_at_all_is_refused():
    network = build_network("hybrid_sum", ESR, 2, COMPACT)
    with pytest.raises(DataError, match="views: mel; expected one of waveform, spectrogram"):
        network({"mel": torch.zeros(2, 1, 8, 8)})


def test_three_views_are_fused_and_a_member_can_read_another_view():
    settings = NetworkSettings(
        compact_width=4, members=("cnn1d_compact", "cnn2d_compact", "cnn2d_compact:mel")
    )
    shapes = {**ESR, "mel": (1, 20, 37)}
    network = build_network("hybrid_gated", shapes, 3, settings)
    assert network(views(4, shapes)).shape == (4, 3)
    assert [branch.view for branch in network.branches] == ["waveform", "spectrogram", "mel"]


def test_an_encoder_alone_can_read_another_view_too():
    network = build_network("cnn2d_compact:mel", {"mel": (1, 20, 37)}, 3, COMPACT)
    assert network({"mel": torch.randn(4, 1, 20, 37)}).shape == (4, 3)
    with pytest.raises(SettingsError, match="encoder 'hybrid_late': unknown"):
        build_network("hybrid_late:mel", {"mel": (1, 20, 37)}, 3, COMPACT)


def test_one_member_is_no_fusion():
    with pytest.raises(SettingsError, match=r"network\.members: 1; expected at least 2"):
        build_network("hybrid_late", ESR, 2, NetworkSettings(members=("cnn2d_compact",)))


def test_a_member_of_an_unknown_view_is_refused():
    settings = NetworkSettings(members=("cnn1d_compact", "cnn2d_compact:mel"))
    with pytest.raises(DataError, match="cnn2d_compact:mel: the data has waveform, spectrogram"):
        build_network("hybrid_late", ESR, 2, settings)


NARROW = NetworkSettings(compact_width=8, dropout=0.0)
FUSED = ["hybrid_late", *(f"hybrid_{name}" for name in FUSIONS)]


def learned_by_heart(model, loss, members=NARROW.members):
    settings = NARROW.model_copy(update={"members": members, "n_filters": 4, "resnet_width": 8})
    training = TrainSettings(loss=loss, warm_start=1)
    objective = Objective(build_network(model, ESR, 2, settings), 2, training)
    optimizer = optimizer_of(objective.network, objective.own_parameters, training)
    given = views(8)
    y = torch.arange(8) % 2
    for step in range(60):
        terms = objective(given, Labels(y, y), None, warm=step < 10)
        optimizer.zero_grad()
        terms["labels"].backward()
        optimizer.step()
    with torch.no_grad():
        return objective.network.eval()(given).argmax(dim=1).equal(y)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_eight_samples_are_learned_by_heart_with_every_loss(loss):
    assert learned_by_heart("hybrid_concat", loss)


@pytest.mark.parametrize("model", FUSED)
def test_eight_samples_are_learned_by_heart_by_every_fusion(model):
    assert learned_by_heart(model, "ce")


@pytest.mark.slow
@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("model", FUSED)
def test_every_fusion_learns_with_every_loss(model, loss):
    assert learned_by_heart(model, loss)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_every_encoder_learns_in_a_late_fusion(encoder):
    other = "cnn2d_compact" if ENCODERS[encoder].view == "waveform" else "cnn1d_compact"
    assert learned_by_heart("hybrid_late", "ce", (other, encoder))


@pytest.mark.slow
@pytest.mark.parametrize("model", FUSED)
def test_onnx_runtime_gives_the_same_probabilities_of_every_fusion(model, tmp_path):
    classifier = SignalClassifier(model, network=NARROW)
    classifier.classes_, classifier.shapes_ = np.arange(2), ESR
    classifier.network_ = build_network(model, ESR, 2, NARROW)
    with torch.no_grad():  # batch statistics other than the initial ones
        classifier.network_({name: 1 + view for name, view in views(32).items()})
    classifier.network_.eval().temperature.fill_(1.7)  # as fitted to a validation part
    export_onnx(classifier, tmp_path)
    given = {name: view.numpy() for name, view in views(5).items()}
    found = runtime_probabilities(tmp_path, given)
    np.testing.assert_allclose(found, classifier.predict_proba(given), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "shapes", "settings", "macs"),
    [
        ("hybrid_concat", ESR, OF_ESR, 74.91e6),
        ("hybrid_concat", BEATS, OF_BEATS, 102.73e6),
    ],
)
def test_published_multiplications_of_the_fusions(model, shapes, settings, macs):
    network = build_network(model, shapes, 2, settings)
    found = sum(count_macs(network, views(1, shapes)).values())
    assert found == pytest.approx(macs, abs=5e3)

"""All terms of the loss come from one pass, and are those of separate passes."""

import pytest
import torch
from torch.testing import assert_close

from emboscope.errors import SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.losses import LOSSES
from emboscope.learning.models import MODELS, build_network
from emboscope.learning.objective import Labels, Objective
from emboscope.learning.regularizers import RegularizerSettings
from emboscope.learning.settings import TrainSettings

ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)}
COMPACT = NetworkSettings(compact_width=4)
ALL = RegularizerSettings(guided=(0.5, 0.25), dec=0.1, links=0.2, contrastive=0.3)


def batch(n=8):
    views = {name: torch.randn(n, *shape) for name, shape in ESR.items()}
    y = torch.arange(n) % 2
    return views, Labels(y, y)


def objective_of(model, settings=COMPACT, **training):
    objective = Objective(build_network(model, ESR, 2, settings), 2, TrainSettings(**training))
    if objective.clustering is not None:
        objective.clustering.start(torch.randn(20, objective.network.n_embedding),
                                   torch.arange(20) % 2, 0)  # fmt: skip
    return objective


@pytest.mark.parametrize("guide_at", ["encoder", "projection"])
@pytest.mark.parametrize("fusion", list(FUSIONS))
def test_terms_of_one_pass_equal_those_of_a_pass_each(fusion, guide_at):
    settings = COMPACT.model_copy(update={"guide_at": guide_at})
    objective = objective_of(f"hybrid_{fusion}", settings, regularizers=ALL).eval()
    views, labels = batch()
    terms = objective(views, labels, None, warm=False)
    network, ce = objective.network, LOSSES["ce"]
    assert_close(terms["labels"], ce(network(views), labels.y), atol=1e-6, rtol=1e-6)
    passed = network.outputs(views)
    read = passed.features if guide_at == "encoder" else passed.projected
    guided = sum(
        weight * ce(guide(part), labels.y)
        for weight, guide, part in zip((0.5, 0.25), objective.guides, read, strict=True)
    )
    assert_close(terms["guided"], guided, atol=1e-6, rtol=1e-6)
    again = 0.1 * objective.clustering(network.outputs(views).embedding)
    assert_close(terms["dec"], again, atol=1e-6, rtol=1e-6)
    assert set(terms) == {"labels", "guided", "dec", "links", "contrastive"}


def test_each_encoder_runs_once_a_step_whatever_the_terms():
    objective = objective_of("hybrid_concat", regularizers=ALL)
    runs = []
    for branch in objective.network.branches:
        branch.encoder.register_forward_hook(lambda *_: runs.append(1))
    objective(*batch(), None, warm=False)
    assert len(runs) == 2


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_learns_with_all_terms(model):
    settings = NetworkSettings(compact_width=4, n_filters=4, resnet_width=4)
    regularizers = ALL.model_copy(update={"guided": (0.5,)})
    objective = objective_of(model, settings, regularizers=regularizers)
    terms = objective(*batch(), None, warm=False)
    torch.stack(list(terms.values())).sum().backward()
    assert all(
        each.grad is not None and each.grad.isfinite().all()
        for each in objective.parameters()
        if each.requires_grad
    )


def test_a_guide_moves_only_its_encoder():
    objective = objective_of("hybrid_sum", regularizers=RegularizerSettings(guided=(0.0, 1.0)))
    objective(*batch(), None, warm=False)["guided"].backward()
    first, second = (
        {each.grad is not None and bool(each.grad.any()) for each in branch.encoder.parameters()}
        for branch in objective.network.branches
    )
    assert first == {False}
    assert True in second


def test_the_warm_start_is_the_cross_entropy():
    objective = objective_of("cnn2d_compact", loss="gce").eval()
    views, labels = batch()
    logits = objective.network(views)
    warm, after = (objective(views, labels, None, warm)["labels"] for warm in (True, False))
    assert_close(warm, LOSSES["ce"](logits, labels.y))
    assert_close(after, LOSSES["gce"](logits, labels.y))


def test_a_kept_share_learns_from_the_rows_of_small_loss():
    objective = objective_of("cnn2d_compact", kept_share=0.5).eval()
    views, labels = batch()
    each = LOSSES["ce"].each(objective.network(views), labels.y).detach()
    found = objective(views, labels, None, warm=False)["labels"]
    assert_close(found, each.sort().values[:4].mean())


def test_mixed_rows_weigh_both_targets():
    objective = objective_of("cnn1d_compact").eval()
    views, labels = batch()
    mixed = Labels(labels.y, 1 - labels.y, share=0.25)
    logits, ce = objective.network(views), LOSSES["ce"]
    found = objective(views, mixed, None, warm=False)["labels"]
    assert_close(found, 0.25 * ce(logits, labels.y) + 0.75 * ce(logits, 1 - labels.y))
    assert mixed.classes.equal(1 - labels.y)


def test_modality_dropout_always_leaves_a_member():
    objective = objective_of("hybrid_sum", modality_dropout=0.9)
    views, _ = batch(500)
    present = objective._present(views)
    assert present.any(dim=1).all()
    assert present.float().mean().item() == pytest.approx(0.505, abs=0.02)


def test_weights_for_other_members_are_refused():
    with pytest.raises(SettingsError, match=r"guided: 3 weights; expected one, or one for each"):
        objective_of("hybrid_sum", regularizers=RegularizerSettings(guided=(1.0, 1.0, 1.0)))

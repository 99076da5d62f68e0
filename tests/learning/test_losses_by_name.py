"""What each loss is by itself: published values, identities, limits."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn import functional
from torch.testing import assert_close

from emboscope.errors import SettingsError
from emboscope.learning.label_noise import flip_symmetric, transition_matrix
from emboscope.learning.losses import LOSSES, LossSettings, criterion, small_loss_weights
from twins import losses as twins

P = torch.tensor([[0.1, 0.3, 0.6]], dtype=torch.float64)  # label
Q = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64)  # prediction


def value(name, targets, q=Q, **settings):
    return criterion(name, LossSettings(**settings))(q.log(), targets).item()


def test_values_of_the_worked_example():
    """To the six digits that are given, of labels without smoothing."""
    bare = {"smoothing": 0.0}
    assert value("geo_jsd", P, beta=4.0, gamma=0.0, **bare) == pytest.approx(0.0523248, abs=5e-8)
    assert value("geo_jsd", P, beta=0.0, gamma=4.0, **bare) == pytest.approx(0.0575364, abs=5e-8)
    assert value("jsd", P) == pytest.approx(0.0135288, abs=5e-8)
    assert value("geo_jsd", P, **bare) == pytest.approx(0.0274653, abs=5e-8)
    assert value("geo_jsd_normalized", P, **bare) == pytest.approx(0.0137419, abs=5e-8)
    assert value("soft_ce", P) == pytest.approx(0.950271, abs=5e-7)


def test_gce_of_the_worked_example_and_where_p_is_0():
    q = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    assert value("gce", torch.tensor([0]), q) == pytest.approx(0.315634, abs=5e-7)
    logits = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    loss = LOSSES["gce"](logits, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(1 / 0.7)
    assert_array_equal(logits.grad, 0)


def test_gce_lies_between_cross_entropy_and_one_minus_p():
    y = torch.tensor([1])
    assert value("gce", y, q=Q) < value("ce", y)
    loss = criterion("gce", LossSettings(q=1e-6))(Q.log(), y)
    assert loss.item() == pytest.approx(value("ce", y), rel=1e-5)  # the next term is q/2 · log² p
    assert criterion("gce", LossSettings(q=1.0))(Q.log(), y).item() == pytest.approx(0.8)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.8])
def test_extended_geometric_form_is_the_one_about_the_geometric_mean(alpha):
    bare = LossSettings(alpha=alpha, smoothing=0.0)
    about_mean = twins.geo_jsd_about_mean(P[0].tolist(), Q[0].tolist(), alpha)
    # divergences about a mean that does not sum to 1 may be cut by its sum: log Z apart
    assert criterion("geo_jsd", bare)(Q.log(), P).item() == pytest.approx(about_mean, rel=1e-12)
    log_z = math.log(sum(twins.geometric_mean(P[0].tolist(), Q[0].tolist(), alpha)))
    normalized = criterion("geo_jsd_normalized", bare)(Q.log(), P).item()
    assert normalized == pytest.approx(about_mean + log_z, rel=1e-12)
    assert 0 < normalized < about_mean


@pytest.mark.parametrize("share", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])], ids=["plain", "classes"])
def test_ce_is_that_of_pytorch(share, weights):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 2, 1, -1])
    expected = functional.cross_entropy(logits, y, weights, ignore_index=-1, label_smoothing=share)
    loss = criterion("ce", LossSettings(smoothing=share))
    assert_close(loss(logits, y, weights), expected)
    rows = torch.where(y[:, None] < 0, torch.nan, functional.one_hot(y.clamp(min=0), 3).float())
    assert_close(loss(logits, rows, weights), expected)


def test_soft_ce_is_ce():
    assert LOSSES["soft_ce"] is LOSSES["ce"]


def test_reverse_term_of_a_hard_label_is_its_constant_times_what_is_missing():
    y = torch.tensor([1])
    assert value("sym_ce", y, sym_a=0.0, sym_b=1.0) == pytest.approx(4 * 0.8)
    ports = value("sym_ce", y, sym_a=0.0, sym_log_zero=math.log(1e-4))
    assert ports / value("sym_ce", y, sym_a=0.0) == pytest.approx(2.3, abs=0.01)


def test_jsd_in_bits_is_at_most_1():
    apart = torch.tensor([[-1e4, 1e4]]), torch.tensor([0])
    assert LOSSES["jsd"](*apart).item() == pytest.approx(math.log(2))
    assert criterion("jsd", LossSettings(jsd_unit="bits"))(*apart).item() == pytest.approx(1)


@pytest.mark.parametrize("name", ["jsd", "geo_jsd", "geo_jsd_normalized"])
def test_divergence_of_equals_is_0(name):
    bare = criterion(name, LossSettings(smoothing=0.0))
    assert bare(Q.log(), Q).item() == pytest.approx(0, abs=1e-15)


def test_costs_of_all_classes_add_up_to_a_constant_where_symmetric_noise_does_no_harm():
    """A condition that suffices (Ghosh 2017): 1 - p and the reverse cross-entropy meet it."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 3, generator=generator, dtype=torch.float64)

    def spread(name, **settings):
        loss = criterion(name, LossSettings(**settings))
        return sum(loss.each(logits, torch.full((50,), c)) for c in range(3)).std().item()

    assert spread("gce", q=1.0) == pytest.approx(0, abs=1e-12)
    assert spread("sym_ce", sym_a=0.0) == pytest.approx(0, abs=1e-12)
    assert spread("geo_jsd", beta=0.0) < 0.5 * spread("geo_jsd", gamma=0.0)
    assert spread("jsd") < spread("gce") < spread("ce")


def test_normalized_geometric_form_needs_more_smoothing():
    """With little, a prediction of q_y between 0.001 and 0.086 is drawn away from its label."""
    shares = torch.tensor([0.002, 0.01, 0.05], dtype=torch.float64)
    logits = torch.stack([shares, 1 - shares], dim=1).log().requires_grad_()
    for smoothing, sign in ((1e-3, 1), (None, -1)):
        loss = criterion("geo_jsd_normalized", LossSettings(smoothing=smoothing))
        loss(logits, torch.zeros(3, dtype=torch.long)).backward()
        assert (sign * logits.grad[:, 0] > 0).all()
        logits.grad = None


def test_forward_without_noise_is_ce():
    logits = torch.tensor([[1e4, -1e4, 0.0], [0.3, 0.1, 2.0]])
    y = torch.tensor([1, 0])
    assert_close(
        criterion("forward", LossSettings(noise_rate=0.0)).each(logits, y),
        LOSSES["ce"].each(logits, y),
    )


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_forward_is_least_at_the_clean_posterior(kind):
    """Labels drawn through T: the true p gives the least expected loss; to ce it is the noisy p."""
    transition = transition_matrix(0.3, 3, kind)
    noisy = P @ torch.tensor(transition)
    settings = LossSettings(noise_rate=0.3, noise_kind=kind)
    given = LossSettings(transition=tuple(map(tuple, transition.tolist())))
    for chosen in (settings, given):
        logits = P.log().requires_grad_()
        criterion("forward", chosen)(logits, noisy).backward()
        assert_close(logits.grad, torch.zeros(1, 3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_forward_learns_the_certainty_that_noise_hides(rng):
    """Two classes far apart, 3 labels in 10 wrong: to `ce` each label is 70 % sure."""
    y = np.arange(1000) % 2
    noisy = torch.tensor(flip_symmetric(y, 0.3, 2, rng))
    x = torch.tensor(np.stack([2 * y - 1, np.ones(1000)], axis=1), dtype=torch.float32)
    sure = {}
    for name in ("ce", "forward"):
        loss = criterion(name, LossSettings(noise_rate=0.3))
        weight = torch.zeros(2, 2, requires_grad=True)
        optimizer = torch.optim.Adam([weight], lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            loss(x @ weight, noisy).backward()
            optimizer.step()
        sure[name] = (x @ weight).detach().softmax(dim=1).max(dim=1).values.mean().item()
    assert sure["ce"] == pytest.approx(0.7, abs=0.06)  # four standard deviations of 1000 draws
    assert sure["forward"] > 0.9


def test_transition_that_cannot_be_is_refused():
    for rows in ([[0.9, 0.1]], [[0.9, 0.2], [0.1, 0.9]], [[1.0, 0.0], [1.0, 0.0]]):
        with pytest.raises(SettingsError, match="transition: not square, .* expected P"):
            LossSettings.parse({"transition": rows}, "loss")
    two = LossSettings(transition=((0.9, 0.1), (0.2, 0.8)))
    with pytest.raises(SettingsError, match="transition: 2 classes; expected 3, .*Give one row"):
        criterion("forward", two)(Q.log(), P)


@pytest.mark.parametrize(
    "wrong", [{"q": 0}, {"smoothing": 1}, {"alpha": 1}, {"sym_log_zero": 0}, {"noise_rate": 1}]
)
def test_parameter_out_of_range_is_refused(wrong):
    with pytest.raises(SettingsError, match=rf"loss.{next(iter(wrong))}: \d; input should be"):
        LossSettings.parse(wrong, "loss")


def test_small_losses_are_kept_with_a_mean_weight_of_1():
    each = torch.tensor([0.5, 3.0, 0.1, 2.0], requires_grad=True)
    weights = small_loss_weights(each, 0.5)
    assert weights.tolist() == [2, 0, 2, 0]
    assert not weights.requires_grad
    assert small_loss_weights(each, 1.0).tolist() == [1, 1, 1, 1]
    assert small_loss_weights(each, 0.01).tolist() == [0, 0, 4, 0]


def test_masked_rows_are_not_the_small_losses():
    each = torch.tensor([0.0, 3.0, 0.0, 2.0])
    known = torch.tensor([False, True, False, True])
    assert small_loss_weights(each, 0.5, known).tolist() == [0, 0, 0, 2]
    assert small_loss_weights(each, 0.5, ~known | known).tolist() == [2, 0, 2, 0]
    assert small_loss_weights(each, 0.5, torch.zeros(4, dtype=torch.bool)).tolist() == [0] * 4


@pytest.mark.parametrize("share", [0.0, 1.1, np.nan])
def test_share_to_keep_out_of_range_is_refused(share):
    with pytest.raises(SettingsError, match="keep_share: .*; expected above 0 and at most 1"):
        small_loss_weights(torch.zeros(3), share)

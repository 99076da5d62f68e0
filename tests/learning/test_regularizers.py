"""Clustering, links and contrast: worked examples, twins, and where the gradient points."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.twins import regularizers as twin
from torch.testing import assert_close

from emboscope.errors import DataError
from emboscope.learning.regularizers import (
    DeepEmbeddedClustering,
    RegularizerSettings,
    link_constraints,
    log_assignments,
    supervised_contrastive,
    target_of,
)
from emboscope.learning.regularizers.dec import clustering_loss

H = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
CENTERS = torch.tensor([[0.0, 0.0], [2.0, 0.0]])


def test_clustering_of_the_worked_example():
    log_q = log_assignments(H, CENTERS)
    assert_close(log_q.exp(), torch.tensor([[5, 1], [1, 5], [4.5, 1.5]]) / 6)
    p = target_of(log_q)
    golden = [[0.946970, 0.053030], [0.027778, 0.972222], [0.865385, 0.134615]]
    assert_allclose(p.numpy(), golden, atol=1e-6)
    assert clustering_loss(log_q, p).item() == pytest.approx(0.0669768, abs=1e-7)


def test_clustering_equals_its_twin(rng):
    h, centers, f = rng.normal(size=(9, 4)), rng.normal(size=(3, 4)), rng.uniform(0.1, 1, 3)
    for frequencies in (None, f):
        q, p, loss = twin.clustering(h, centers, frequencies)
        log_q = log_assignments(torch.tensor(h), torch.tensor(centers))
        target = target_of(log_q, None if frequencies is None else torch.tensor(f))
        assert_allclose(log_q.exp().numpy(), q, rtol=1e-12)
        assert_allclose(target.numpy(), p, rtol=1e-12)
        assert clustering_loss(log_q, target).item() == pytest.approx(loss, rel=1e-12)


def moved(detach, distance):
    """Change of max_j q of balanced, mirrored samples by one step down the gradient."""
    settings = RegularizerSettings(dec=1.0, dec_detach=detach, dec_frequencies="batch")
    clustering = DeepEmbeddedClustering(2, 1, settings)
    clustering.centers.data = torch.tensor([[-1.0], [1.0]])
    h = torch.tensor([[-distance], [distance]], requires_grad=True)
    clustering(h).backward()
    before = log_assignments(h.detach(), clustering.centers.detach()).exp().amax(dim=1)
    after = log_assignments(h.detach() - 1e-3 * h.grad, clustering.centers.detach()).exp()
    return before[0].item(), (after.amax(dim=1) - before)[0].item()


def test_a_constant_target_gathers_and_an_attached_one_repels_below_0_818():
    for distance in (0.1, 0.3, 0.5):
        confidence, change = moved(True, distance)
        assert change > 0
        attached = moved(False, distance)[1]
        assert (attached < 0) == (confidence < 0.818)
    confidence, change = moved(False, 0.9)
    assert confidence > 0.818
    assert change > 0


def test_clustering_starts_at_the_clusters_and_counts_them_by_epoch(rng):
    y = torch.tensor([0] * 30 + [1] * 10)
    h = torch.tensor(rng.normal(size=(40, 3)) * 0.1 + 5 * y.numpy()[:, None], dtype=torch.float32)
    for how in ("kmeans", "class_means"):
        clustering = DeepEmbeddedClustering(2, 3, RegularizerSettings(dec=1.0, dec_centers=how))
        clustering.start(h, y, seed=0)
        assert_close(clustering.centers.mean(dim=1).sort().values, torch.tensor([0.0, 5.0]),
                     atol=0.1, rtol=0)  # fmt: skip
        assert clustering.frequencies.sort().values.tolist() == pytest.approx(
            [0.26, 0.74], abs=0.02
        )
        clustering(h[:30])
        clustering.eval()
        clustering(h[30:])  # not counted: nothing is learned from it
        assert clustering.end_epoch() == pytest.approx(1 / 75, abs=0.01)
        assert clustering.frequencies.max().item() > 0.98


def test_class_means_are_tied_to_the_classes(rng):
    y = torch.tensor([1, 0] * 20)
    h = torch.tensor(rng.normal(size=(40, 2)), dtype=torch.float32) + 3 * y[:, None]
    clustering = DeepEmbeddedClustering(
        2, 2, RegularizerSettings(dec=1.0, dec_centers="class_means")
    )
    clustering.start(h, y, seed=0)
    assert_close(clustering.centers.detach(), torch.stack([h[y == 0].mean(0), h[y == 1].mean(0)]))


def test_too_few_rows_for_the_clusters_are_refused():
    clustering = DeepEmbeddedClustering(3, 2, RegularizerSettings(dec=1.0))
    with pytest.raises(DataError, match="2 training rows; expected at least 3"):
        clustering.start(torch.zeros(2, 2), torch.tensor([0, 1]), seed=0)


def test_far_embeddings_keep_finite_assignments_and_gradients():
    h = torch.tensor([[1e18, 0.0], [0.0, 0.0]], requires_grad=True)
    clustering = DeepEmbeddedClustering(2, 2, RegularizerSettings(dec=1.0))
    clustering.centers.data = CENTERS
    clustering(h).backward()
    assert h.grad.isfinite().all()


def test_links_and_contrast_equal_their_twins(rng):
    h, y = rng.normal(size=(12, 5)), rng.integers(0, 3, 12)
    y[0] = 7  # alone in its class
    tensors = torch.tensor(h), torch.tensor(y)
    assert link_constraints(*tensors).item() == pytest.approx(twin.link_constraints(h, y), rel=1e-6)
    found = supervised_contrastive(*tensors, 0.2).item()
    assert found == pytest.approx(twin.supervised_contrastive(h, y, 0.2), rel=1e-9)


@pytest.mark.parametrize("term", [link_constraints, supervised_contrastive])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_terms_on_equal_or_zero_embeddings_have_finite_gradients(term, rows):
    for h in (torch.zeros(rows, 3), torch.ones(rows, 3)):
        h.requires_grad_()
        term(h, torch.arange(rows) % 2).backward()
        assert h.grad.isfinite().all()


def test_gradients_of_links_and_contrast_agree_with_finite_differences(rng):
    h = torch.tensor(rng.normal(size=(6, 3)), requires_grad=True)
    y = torch.tensor([0, 1, 0, 1, 2, 2])
    assert torch.autograd.gradcheck(lambda e: link_constraints(e, y), h)
    assert torch.autograd.gradcheck(lambda e: supervised_contrastive(e, y), h)


def test_links_are_least_where_two_classes_are_opposite():
    y = torch.tensor([0, 0, 1, 1])
    opposed = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]])
    assert link_constraints(opposed, y).item() == pytest.approx(0, abs=1e-5)
    assert link_constraints(opposed.abs(), y).item() > 0.5


def test_guided_weights_are_for_each_member():
    assert RegularizerSettings(guided=(0.5,)).guided_weights(3) == (0.5, 0.5, 0.5)
    assert RegularizerSettings(guided=(0.0,)).guided_weights(2) == ()
    assert np.all(RegularizerSettings(guided=(1.0, 0.01)).guided_weights(2) == (1.0, 0.01))

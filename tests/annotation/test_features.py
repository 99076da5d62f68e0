"""Every encoder learns without labels, gives the same twice, and is read back as it was written."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file
from torch.testing import assert_close

from emboscope.annotation.autoencoder import encode
from emboscope.annotation.autoencoder.clustering import memberships, target_memberships
from emboscope.annotation.autoencoder.contrastive import augmented, nt_xent
from emboscope.annotation.autoencoder.settings import (
    AutoEncoderSettings,
    ClusteringSettings,
    ContrastiveSettings,
    VariationalSettings,
)
from emboscope.annotation.autoencoder.variational import ConvVariational, kl_divergence
from emboscope.annotation.features import (
    FEATURES,
    fit_features,
    load_features,
    save_features,
    train_features,
)
from emboscope.errors import DataError, SettingsError

QUICK = {
    "autoencoder": {"epochs": 15},
    "clustering": {"epochs": 15, "dec_epochs": 5, "n_clusters": 4},
    "variational": {"epochs": 15, "kl_weight": 0.1},
    "contrastive": {"epochs": 15, "horizontal_crop": 0.0},
}


def blobs(rng, n=96):
    """Bright squares at one of four places, with noise: (images, place)."""
    place = np.arange(n) % 4
    images = rng.normal(0, 0.1, (n, 1, 16, 16)).astype(np.float32)
    for image, where in zip(images, place, strict=True):
        row, column = divmod(int(where), 2)
        image[0, 8 * row : 8 * row + 6, 8 * column : 8 * column + 6] += 3
    return images, place


def trained(name, images, **changed):
    values = {"batch": 16, **QUICK[name], **changed}
    return train_features(images, name, FEATURES[name].settings.parse(values))


def test_quick_settings_name_every_encoder():
    assert set(QUICK) == set(FEATURES)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_codes_of_every_encoder_tell_the_places(name, rng):
    images, place = blobs(rng)
    codes = encode(trained(name, images), images)
    assert codes.shape == (96, 32)
    squared = ((codes[:, None] - codes[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    assert (place[squared.argmin(axis=1)] == place).mean() > 0.95


@pytest.mark.parametrize("name", sorted(QUICK))
def test_same_seed_gives_the_same_codes_another_seed_others(name, rng):
    images, _ = blobs(rng, 24)
    quick = {"epochs": 1} | ({"dec_epochs": 1} if name == "clustering" else {})
    torch.manual_seed(1)
    first = encode(trained(name, images, **quick), images)
    drawn = torch.rand(1)
    assert_array_equal(encode(trained(name, images, **quick), images), first)
    torch.manual_seed(1)
    assert torch.rand(1) == drawn
    assert not np.allclose(encode(trained(name, images, **quick, seed=1), images), first)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_an_encoder_is_read_back_as_it_was_written(name, rng, tmp_path):
    images, _ = blobs(rng, 24)
    model = trained(name, images, epochs=1)
    save_features(tmp_path / "model.safetensors", model)
    again = load_features(tmp_path / "model.safetensors")
    assert (type(again), again.settings, again.shape) == (type(model), model.settings, model.shape)
    assert_array_equal(encode(again, images), encode(model, images))
    assert {file.name for file in tmp_path.iterdir()} == {"model.safetensors", "model.json"}


@pytest.mark.parametrize("name", sorted(QUICK))
def test_any_image_size_is_encoded_in_the_order_of_the_data(name, rng):
    images = rng.random((5, 2, 33, 7))
    model = trained(name, images, epochs=1)
    one_by_one = encode(model, images, batch=1)
    assert one_by_one.shape == (5, 32)
    assert_allclose(encode(model, images[::-1])[::-1], one_by_one, rtol=1e-4, atol=1e-5)


def test_epochs_are_told(rng):
    told = []
    settings = ClusteringSettings(epochs=2, dec_epochs=1)
    train_features(blobs(rng, 24)[0], "clustering", settings, lambda *now: told.append(now))
    assert told == [("auto-encoder", 1, 2), ("auto-encoder", 2, 2), ("clustering", 1, 1)]


def test_divergence_from_the_prior_has_its_value_by_hand():
    mean, variance = torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.tensor([[1.0, 4.0], [1.0, 1.0]])
    by_hand = torch.tensor([(4 - math.log(4) - 1) / 2, 2.5])
    assert_close(kl_divergence(mean, variance.log()), by_hand)


def test_divergence_is_the_mean_log_ratio_of_the_densities():
    posterior = torch.distributions.Normal(torch.tensor([0.7, -1.0]), torch.tensor([0.5, 2.0]))
    prior = torch.distributions.Normal(0.0, 1.0)
    drawn = posterior.sample((200_000,))
    ratio = (posterior.log_prob(drawn) - prior.log_prob(drawn)).sum(dim=1)
    value = kl_divergence(posterior.mean[None], posterior.variance.log()[None])
    assert_close(ratio.mean(), value[0], atol=0.05, rtol=0)  # four standard errors


def test_a_strong_prior_draws_every_code_to_zero(rng):
    images, _ = blobs(rng, 48)
    free = encode(trained("variational", images, kl_weight=0.0), images)
    bound = encode(trained("variational", images, kl_weight=100.0), images)
    assert np.abs(bound).mean() < 0.05 * np.abs(free).mean()


def test_variational_code_is_the_mean_and_takes_no_chance():
    network = ConvVariational((1, 16, 16)).eval()
    images = torch.rand(3, 1, 16, 16)
    assert_close(network.code(images), network(images)[1])
    assert not torch.equal(network(images)[0], network(images)[0])


def test_contrast_of_right_and_of_indistinct_pairs_has_its_value_by_hand():
    views = torch.eye(2)
    pairs = nt_xent(views, 3 * views, 1.0)  # of the cosine: length does not matter
    assert_close(pairs, torch.tensor(-math.log(math.e / (math.e + 2))))
    assert_close(nt_xent(torch.ones(2, 2), torch.ones(2, 2), 0.1), torch.tensor(math.log(3)))
    assert nt_xent(views, views.flip(0), 1.0) > pairs


def test_a_view_without_any_change_is_the_image():
    changes = ("vertical_shift", "horizontal_shift", "vertical_crop", "horizontal_crop", "gain",
               "noise")  # fmt: skip
    images = torch.rand(3, 1, 16, 12)
    views = augmented(images, ContrastiveSettings(**dict.fromkeys(changes, 0.0)))
    assert_close(views, images, atol=1e-5, rtol=0)


def test_views_differ_but_an_event_keeps_its_side_of_zero_frequency():
    images = torch.zeros(200, 1, 64, 48)
    images[:, :, 20:26, 20:28] = 1.0  # towards one side of row 32
    views = augmented(images, ContrastiveSettings(noise=0.0))
    assert len(views.flatten(1).unique(dim=0)) == 200
    assert (views[:, :, :32].sum(dim=(1, 2, 3)) > 20).all()
    assert views[:, :, 32:].sum() == 0


def test_an_event_near_the_edge_is_not_mirrored_in():
    images = torch.zeros(200, 1, 8, 48)
    images[..., 2] = 1.0
    views = augmented(images, ContrastiveSettings(horizontal_crop=0.0, gain=0.0, noise=0.0))
    assert views.sum(dim=(1, 2, 3)).max() <= images[0].sum() + 1e-3


def test_memberships_and_their_target_have_their_values_by_hand():
    q = memberships(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]]))
    assert_close(q, torch.tensor([[2 / 3, 1 / 3], [1 / 3, 2 / 3]]))
    assert_close(target_memberships(q), torch.tensor([[0.8, 0.2], [0.2, 0.8]]))


def test_clustering_draws_codes_together(rng):
    images, place = blobs(rng)

    def spread(dec_weight):
        codes = encode(trained("clustering", images, dec_weight=dec_weight), images)
        within = np.mean([codes[place == where].var(axis=0).sum() for where in range(4)])
        return within / codes.var(axis=0).sum()

    assert spread(1.0) < 0.7 * spread(0.0)


def test_an_encoder_never_learns_from_a_test_patient(rng):
    images, _ = blobs(rng, 12)
    groups = np.repeat(["p1", "p2", "p3"], 4)
    quick = AutoEncoderSettings(epochs=1)
    with pytest.raises(DataError, match=r"1 test patients among the training images \(p3\)"):
        fit_features(images, settings=quick, groups=groups, test_groups={"p3", "p9"})
    found = fit_features(images[:8], settings=quick, groups=groups[:8], test_groups={"p3"})
    assert_array_equal(found.codes, encode(found.model, images[:8]))
    with pytest.raises(DataError, match="Give groups"):
        fit_features(images, settings=quick, test_groups={"p3"})
    with pytest.raises(DataError, match="one for each of the 12 images"):
        fit_features(images, settings=quick, groups=groups[:3])


def test_refuses_unknown_encoders_and_settings_of_another(rng):
    images, _ = blobs(rng, 8)
    with pytest.raises(SettingsError, match="Did you mean 'variational'"):
        train_features(images, "variationl")
    with pytest.raises(SettingsError, match="expected AutoEncoderSettings"):
        train_features(images, "autoencoder", VariationalSettings())


def test_refuses_files_that_hold_no_encoder(rng, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(DataError, match="unreadable"):
        load_features(path)
    path.write_bytes(b"no weights")
    with pytest.raises(DataError, match="Train them again"):
        load_features(path)
    save_file({"weight": np.zeros(2, np.float32)}, path)
    with pytest.raises(DataError, match="format version None; expected 1"):
        load_features(path)

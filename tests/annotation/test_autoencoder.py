import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.annotation.autoencoder import (
    PAPER,
    AutoEncoderSettings,
    ConvAutoEncoder,
    encode,
    train_autoencoder,
)
from emboscope.errors import DataError


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("shape", "total", "encoder", "folded"),
    [
        ((1, 20, 20), 131_839, 90_704, (64, 3, 3)),
        ((1, 28, 28), 160_959, 105_040, (64, 4, 4)),
        ((1, 64, 48), 272_063, 170_960, (64, 4, 3)),
    ],
)
def test_published_sizes_have_the_published_parameter_counts_and_hits_those_of_the_rule(
    shape, total, encoder, folded
):
    model = ConvAutoEncoder(shape)
    assert (n_parameters(model), n_parameters(model.encoder)) == (total, encoder)
    assert model.folded == folded


@pytest.mark.parametrize("shape", [(1, 64, 48), (2, 33, 7), (1, 224, 96), (1, 4, 4)])
def test_any_image_size_is_rebuilt_at_its_size(shape):
    model = ConvAutoEncoder(shape).eval()
    images = torch.rand(2, *shape)
    assert model(images).shape == images.shape
    assert model.encoder(images).shape == (2, 32)
    assert max(model.folded[1:]) <= 4


def blobs(rng, n=96):
    """Bright squares at one of four places, with noise: (images, place)."""
    place = np.arange(n) % 4
    images = rng.normal(0, 0.1, (n, 1, 16, 16)).astype(np.float32)
    for image, where in zip(images, place, strict=True):
        row, column = divmod(int(where), 2)
        image[0, 8 * row : 8 * row + 6, 8 * column : 8 * column + 6] += 3
    return images, place


def test_training_rebuilds_better_and_its_codes_tell_the_places(rng):
    images, place = blobs(rng)
    told = []
    model = train_autoencoder(
        images,
        AutoEncoderSettings(epochs=30, batch=8),
        progress=lambda *now: told.append(now),
    )
    assert told[-1] == ("auto-encoder", 30, 30)
    inputs = model.scaled(torch.from_numpy(images))
    with torch.no_grad():
        error = float(((model(inputs) - inputs) ** 2).mean())
    assert error < 0.3 * float(inputs.var())
    codes = encode(model, images)
    centers = np.stack([codes[place == where].mean(axis=0) for where in range(4)])
    nearest = ((codes[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == place).mean() > 0.95


def test_the_same_seed_gives_the_same_codes_and_leaves_the_global_seed_alone(rng):
    images, _ = blobs(rng, 24)
    quick = AutoEncoderSettings(epochs=2, batch=8)
    torch.manual_seed(1)
    first = encode(train_autoencoder(images, quick), images)
    drawn = torch.rand(1)
    second = encode(train_autoencoder(images, quick), images)
    torch.manual_seed(1)
    assert torch.rand(1) == drawn
    assert_array_equal(first, second)


def test_encoding_one_by_one_equals_encoding_all_at_once(rng):
    images, _ = blobs(rng, 9)
    model = train_autoencoder(images, AutoEncoderSettings(epochs=1))
    assert not model.training
    one_by_one = encode(model.train(), images, batch=1)
    assert_allclose(encode(model.train(), images), one_by_one, rtol=1e-4, atol=1e-5)


def test_gain_and_offset_of_the_images_do_not_matter(rng):
    images, _ = blobs(rng, 24)
    quick = AutoEncoderSettings(epochs=1)
    codes = encode(train_autoencoder(images, quick), images)
    moved = 4 * images - 2
    assert_allclose(encode(train_autoencoder(moved, quick), moved), codes, rtol=1e-2, atol=1e-2)


def test_the_published_training_is_at_hand():
    assert (PAPER.epochs, PAPER.batch, PAPER.learning_rate) == (50, 32, 0.05)


def test_refuses_what_is_no_batch_of_images(rng):
    images, _ = blobs(rng, 8)
    with pytest.raises(DataError, match="Add the channel axis"):
        train_autoencoder(images[:, 0])
    with pytest.raises(DataError, match="images: not finite"):
        train_autoencoder(images * np.nan)
    with pytest.raises(DataError, match="expected some contrast"):
        train_autoencoder(np.ones((3, 1, 8, 8)))
    model = train_autoencoder(images, AutoEncoderSettings(epochs=0))
    with pytest.raises(DataError, match="expected \\(1, 16, 16\\)"):
        encode(model, images[..., :8])

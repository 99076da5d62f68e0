"""Pictures in colors, made and read."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image, ImageFile

from emboscope.errors import DataError
from emboscope.representations import AdmsImageSettings, adms_image, read_adms_png
from emboscope.representations.adms import COLORS


def luminance(rgb):
    return np.tensordot([0.2126, 0.7152, 0.0722], rgb, axes=1)


def tone(frequency):
    line = np.exp(2j * np.pi * frequency * np.arange(1400) / 4385)
    return np.stack([line.real, line.imag])[None]


def test_colors_lighten_all_along():
    assert (np.diff(luminance(COLORS[:, 1:].T)) > 0).all()
    assert COLORS[0, 0] == 0
    assert COLORS[-1, 0] == 1


def test_flow_towards_the_probe_is_light_at_its_height_in_the_picture():
    picture = adms_image(tone(1096.25), AdmsImageSettings())[0]
    lightest = luminance(picture).mean(axis=1).argmax()
    assert lightest in (55, 56)  # a quarter of the way down, rows being 4385/224 Hz apart


def test_colors_stand_for_the_clipped_decibels(rng):
    signal = rng.standard_normal((2, 2, 1400))
    corrected = luminance(adms_image(signal, AdmsImageSettings())[0])
    released = luminance(adms_image(signal, AdmsImageSettings(profile="released"))[0])
    # with a = 0 the lower half of the levels is dark, with a = -1 about a sixth
    assert (released < 1.0001 * luminance(COLORS[0, 1:])).mean() > 0.4
    assert (corrected == corrected.min()).mean() < 0.25
    assert corrected.max() <= 1


def test_picture_that_was_saved_is_read_again(tmp_path, rng):
    picture = adms_image(rng.standard_normal((1, 2, 1400)), AdmsImageSettings())[0]
    pixels = np.round(255 * picture.transpose(1, 2, 0)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "event.png")
    found = read_adms_png(tmp_path / "event.png")
    assert found.dtype == np.float32
    assert_allclose(found, picture, atol=0.5 / 255 + 1e-6)


def test_picture_of_another_size_is_resized(tmp_path):
    pixels = np.zeros((100, 300, 4), np.uint8)
    pixels[:50, :, 0] = 255  # red above
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "event.png")
    found = read_adms_png(tmp_path / "event.png")
    assert found.shape == (3, 224, 96)
    assert_allclose(found[0, :100], 1)
    assert_allclose(found[0, 130:], 0)
    assert_allclose(found[1:], 0)


def test_missing_picture_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none.png': not found; expected a PNG"):
        read_adms_png(tmp_path / "none.png")


@pytest.mark.parametrize("lenient", [False, True])  # other libraries switch it on for all
@pytest.mark.parametrize("keep", [0, 8, 60])
def test_broken_picture_is_refused(tmp_path, monkeypatch, keep, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = tmp_path / "event.png"
    Image.fromarray(np.full((30, 30, 3), 9, np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="not a PNG that can be read; expected"):
        read_adms_png(path)

"""Changes of a waveform: what they leave alone."""

import pytest
import torch
from torch.testing import assert_close

from emboscope.learning.augmentation import AUGMENTATIONS


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_shape_stays_and_the_caller_keeps_the_waveform(name):
    waveform = torch.randn(40, 2, 100)
    before = waveform.clone()
    changed = AUGMENTATIONS[name](waveform)
    assert changed.shape == waveform.shape
    assert torch.equal(waveform, before)
    assert not torch.equal(changed, waveform)


@pytest.mark.parametrize("name", list(AUGMENTATIONS))
def test_power_stays_but_for_the_scale(name):
    waveform = torch.randn(200, 1, 64)
    ratio = AUGMENTATIONS[name](waveform).square().mean(2) / waveform.square().mean(2)
    if name == "scale":
        assert ratio.log().std().item() == pytest.approx(0.4, abs=0.08)  # twice that of the level
    else:
        assert_close(ratio, torch.ones(200, 1))


def test_a_shift_is_a_roll_of_at_most_a_tenth():
    waveform = torch.arange(60.0)[None, None].repeat(300, 1, 1)
    first = AUGMENTATIONS["shift"](waveform)[:, 0, 0]
    steps = torch.where(first > 30, 60 - first, -first)
    assert steps.abs().max() == 6
    assert steps.unique().numel() == 13


def test_reversed_i_and_q_keep_the_sign_of_their_frequency():
    times = torch.arange(200) / 200
    line = torch.exp(2j * torch.pi * 20 * times)
    waveform = torch.stack([line.real, line.imag])[None].repeat(20, 1, 1)
    changed = AUGMENTATIONS["reverse_time"](waveform)
    spectra = torch.fft.fft(torch.complex(changed[:, 0], changed[:, 1])).abs()
    assert (spectra.argmax(dim=1) == 20).all()

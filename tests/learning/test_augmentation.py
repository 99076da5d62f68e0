"""Changes of a waveform: what they leave alone."""

import pytest
import torch
from torch.testing import assert_close

from emboscope.learning.augmentation import AUGMENTATIONS
from emboscope.representations.hits_frames import SEARCH_S


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


def test_a_jitter_of_hits_leaves_the_peak_where_features_by_hand_look_for_it():
    waveform = torch.zeros(2000, 2, 1400)
    waveform[:, :, 700] = 1.0
    moved = AUGMENTATIONS["jitter"](waveform)[:, 0].argmax(dim=1) - 700
    assert moved.abs().max() == 25
    assert moved.unique().numel() == 51
    assert SEARCH_S > 25 / 4385


def test_reversed_i_and_q_keep_the_sign_of_their_frequency():
    times = torch.arange(200) / 200
    line = torch.exp(2j * torch.pi * 20 * times)
    waveform = torch.stack([line.real, line.imag])[None].repeat(20, 1, 1)
    changed = AUGMENTATIONS["reverse_time"](waveform)
    spectra = torch.fft.fft(torch.complex(changed[:, 0], changed[:, 1])).abs()
    assert (spectra.argmax(dim=1) == 20).all()


def test_a_turned_phase_keeps_the_magnitude_and_takes_every_angle():
    line = torch.complex(torch.randn(400, 30), torch.randn(400, 30))
    changed = AUGMENTATIONS["turn_phase"](torch.stack([line.real, line.imag], dim=1))
    turned = torch.complex(changed[:, 0], changed[:, 1])
    assert_close(turned.abs(), line.abs())
    angles = (turned / line).angle()
    assert_close(angles, angles[:, :1].expand(-1, 30), atol=1e-4, rtol=0)
    assert torch.histc(angles[:, 0], 4, -torch.pi, torch.pi).min() > 60  # 100 in each quarter


def test_reversed_flow_mirrors_the_spectrum_of_half_of_the_rows():
    times = torch.arange(200) / 200
    line = torch.exp(2j * torch.pi * 20 * times)
    waveform = torch.stack([line.real, line.imag])[None].repeat(100, 1, 1)
    changed = AUGMENTATIONS["reverse_flow"](waveform)
    peaks = torch.fft.fft(torch.complex(changed[:, 0], changed[:, 1])).abs().argmax(dim=1)
    assert set(peaks.tolist()) == {20, 180}
    assert 30 < (peaks == 180).sum() < 70


@pytest.mark.parametrize("name", ["turn_phase", "reverse_flow"])
def test_a_real_signal_has_no_phase_to_turn(name):
    waveform = torch.randn(5, 1, 64)
    assert torch.equal(AUGMENTATIONS[name](waveform), waveform)

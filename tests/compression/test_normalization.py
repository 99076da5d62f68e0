"""Statistics of batch normalization, estimated anew."""

import pytest
import torch
from torch import nn

from emboscope.compression.normalization import estimate
from emboscope.learning.models import build_network


def test_the_statistics_are_the_means_of_those_of_the_batches():
    torch.manual_seed(0)
    network = build_network("cnn2d", {"spectrogram": (1, 16, 16)}, 2)
    norm = next(part for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    images = torch.randn(6, 1, 16, 16) + 1
    before = {name: value.clone() for name, value in network.state_dict().items()}
    estimate(network, [{"spectrogram": images[:3]}, {"spectrogram": images[3:]}])
    with torch.no_grad():
        maps = network.branch.encoder.blocks[0][0](images)
    means = maps.mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, means)
    variances = torch.stack([part.var((0, 2, 3)) for part in maps.split(3)]).mean(0)
    torch.testing.assert_close(norm.running_var, variances)
    assert norm.momentum == pytest.approx(0.1)
    assert not any(part.training for part in network.modules())
    for name, value in network.state_dict().items():
        kept = "running" not in name and "tracked" not in name
        assert torch.equal(value, before[name]) == kept, name

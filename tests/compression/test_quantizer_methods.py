"""Each quantizer against its worked example, its finite differences and its released form."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from emboscope.compression.quantizers import QUANTIZERS, QuantizerSettings, quantize
from emboscope.compression.quantizers.levels import dorefa_levels
from emboscope.compression.quantizers.pruning import pruning_function
from emboscope.compression.quantizers.released import RELEASED, ReleasedPTTQ
from emboscope.compression.quantizers.ternary import PTTQ
from emboscope.errors import SettingsError
from emboscope.learning.models import build_network
from emboscope.learning.objective import Labels, Objective
from emboscope.learning.schedules import optimizer_of
from emboscope.learning.settings import TrainSettings

TWN_EXAMPLE = torch.tensor([0.9, -0.2, 0.05, -1.1, 0.4, -0.6])
SLIDE = torch.tensor([
    [-1.9, 1.5, -1.3, -0.6], [-1.8, 0.4, 0.6, 1.9], [0.8, -0.6, 0.1, -0.3], [0.7, 1.6, -0.8, 0.5],
])  # fmt: skip
SIGNS = [[-1, 1, -1, 0], [-1, 0, 0, 1], [1, 0, 0, 0], [0, 1, -1, 0]]
PTTQ_EXAMPLE = torch.tensor([-0.5, -0.1, 0, 0.2, 0.6], dtype=torch.float64)
ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}


def test_twn_of_the_worked_example():
    shown = QUANTIZERS["twn"](TWN_EXAMPLE)(TWN_EXAMPLE)
    assert shown.tolist() == pytest.approx([0.75, 0, 0, -0.75, 0.75, -0.75])


def test_attq_of_the_published_tensor():
    quantizer = QUANTIZERS["attq"](SLIDE, QuantizerSettings(t_min=-0.6, t_max=0.6))
    lower, upper = quantizer.thresholds(SLIDE)
    assert (lower.item(), upper.item()) == pytest.approx((-0.6476532, 0.7476532))
    assert quantizer(SLIDE).sign().tolist() == SIGNS
    assert (
        QUANTIZERS["ttq"](SLIDE, QuantizerSettings(threshold=0.4))(SLIDE).sign().tolist() == SIGNS
    )


def test_pttq_of_the_worked_example():
    settings = QuantizerSettings(t_min=1, t_max=0.5)
    shown = QUANTIZERS["pttq"](PTTQ_EXAMPLE, settings)(PTTQ_EXAMPLE)
    assert shown.sign().tolist() == [-1, 0, 0, 0, 1]


def test_pruning_function_and_its_gradients_of_the_worked_example():
    t = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    mean, sd = PTTQ_EXAMPLE.mean(), PTTQ_EXAMPLE.std()
    assert (mean.item(), sd.item()) == pytest.approx((0.04, 0.4037325848))
    below, above = (mean + t * sd).unbind()
    assert (below.item(), above.item()) == pytest.approx((0.4437325848, 0.2418662924))
    pruned = pruning_function(PTTQ_EXAMPLE, below, above, alpha)
    expected = [-0.3388115832, -0.0061505268, 0.0145882188, 0.0952722928, 0.5934361729]
    assert pruned.tolist() == pytest.approx(expected, abs=1e-9)
    for weights, of_t, of_alpha in (
        ([1.0] * 5, [0.6204603568, -0.1680099001], -0.0056057510),
        ([0.2, -0.4, 0.6, -0.1, 0.3], [0.1049294687, -0.0210243531], -0.0023862071),
    ):
        total = (pruned * torch.tensor(weights, dtype=torch.float64)).sum()
        found = torch.autograd.grad(total, [t, alpha], retain_graph=True)
        assert found[0].tolist() == pytest.approx(of_t, abs=1e-9)
        assert found[1].item() == pytest.approx(of_alpha, abs=1e-9)


def test_dorefa_of_the_worked_example():
    shown = QUANTIZERS["dorefa"](TWN_EXAMPLE)(TWN_EXAMPLE)
    assert shown.abs().tolist() == pytest.approx([0.5416667] * 6)
    assert dorefa_levels(TWN_EXAMPLE, 2).tolist() == pytest.approx([
        1,
        -1 / 3,
        1 / 3,
        -1,
        1 / 3,
        -1,
    ])
    levels = dorefa_levels(TWN_EXAMPLE, 3).tolist()
    assert levels == pytest.approx([1, -1 / 7, 1 / 7, -1, 3 / 7, -5 / 7])


def test_dorefa_of_two_bits_has_the_scale_that_fits_best():
    settings = QuantizerSettings(n_bits=2)
    shown = QUANTIZERS["dorefa"](TWN_EXAMPLE, settings)(TWN_EXAMPLE)
    errors = [((f * shown - TWN_EXAMPLE) ** 2).sum().item() for f in (0.99, 1.0, 1.01)]
    assert min(errors) == errors[1]


def test_whole_numbers_are_at_most_half_a_step_off_in_each_channel(rng):
    weight = torch.from_numpy(rng.standard_normal((5, 3, 4))) * torch.arange(5)[:, None, None]
    step = weight.abs().amax((1, 2), keepdim=True) / 127
    shown = QUANTIZERS["int8"](weight)(weight)
    assert ((shown - weight).abs() <= 0.5001 * step).all()
    assert_close((shown / step.clamp_min(1e-9)).round() * step, shown)


def test_magnitude_pruning_keeps_the_largest_and_their_gradients(rng):
    weight = torch.from_numpy(rng.standard_normal(50)).requires_grad_()
    shown = QUANTIZERS["magnitude"](weight, QuantizerSettings(sparsity=0.8))(weight)
    shown.sum().backward()
    kept = weight.detach().abs() >= weight.detach().abs().sort().values[40]
    assert torch.equal(shown != 0, kept)
    assert torch.equal(weight.grad, kept.double())


@pytest.mark.parametrize("settings", [
    QuantizerSettings(t_min=0.8, t_max=0.4),
    QuantizerSettings(t_min=0.5, t_max=0.9, symmetric=True),
    QuantizerSettings(t_min=0.3, t_max=0.2, statistics=False),
])  # fmt: skip
def test_thresholds_of_pttq_get_the_gradient_of_the_smooth_levels(settings, rng):
    weight, mix = torch.from_numpy(rng.standard_normal((2, 80)) + 0.1)
    quantizer = PTTQ(weight, settings).double()
    (mix * quantizer(weight)).sum().backward()

    def smooth(log_t):
        quantizer.log_t.data = log_t
        lower, upper = quantizer.thresholds(weight)
        k, (left, right) = quantizer.steepness(weight), quantizer.log_scales.exp()
        levels = right * (k * (weight - upper)).sigmoid() - left * (k * (lower - weight)).sigmoid()
        return (mix * levels).sum().item()

    found, start = quantizer.log_t.grad.tolist(), quantizer.log_t.detach().clone()
    steps = 1e-6 * torch.eye(len(start), dtype=torch.float64)
    slopes = [(smooth(start + s) - smooth(start - s)) / 2e-6 for s in steps]
    assert found == pytest.approx(slopes, rel=1e-5)


@pytest.mark.parametrize("method", ["ttq", "attq", "pttq", "twn"])
def test_masks_know_neither_the_gain_of_the_weights_nor_the_precision(method, rng):
    weight = torch.from_numpy(rng.standard_normal(300) + 0.2)
    levels = QUANTIZERS[method](weight)(weight).sign()
    assert torch.equal(QUANTIZERS[method](8 * weight)(8 * weight).sign(), levels)
    single = weight.float()
    assert torch.equal(QUANTIZERS[method](single)(single).sign().double(), levels)


@pytest.mark.parametrize("method", ["twn", "attq", "pttq", "dorefa", "int8", "learned_pruning"])
def test_weights_that_are_all_zero_stay_finite(method):
    quantizer = QUANTIZERS[method](torch.zeros(6, 1))
    assert quantizer(torch.zeros(6, 1)).isfinite().all()


def test_thresholds_stay_on_their_sides_of_zero(rng):
    weight = 5 + torch.from_numpy(rng.standard_normal(100))  # the mean is farther off than t·σ
    lower, upper = PTTQ(weight).thresholds(weight)
    assert lower == 0 < 5 < upper
    lower, upper = PTTQ(-weight).thresholds(-weight)
    assert lower < -5 < 0 == upper


def test_pressure_adds_the_expected_density_by_the_share_of_multiplications(rng):
    network = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 10), nn.Linear(10, 2))
    settings = QuantizerSettings(t_min=1.5, t_max=0.5, pressure=0.1)
    quantize(network, ["0", "1"], "pttq", settings, {"0": 1200, "1": 300})
    first, second = (network[n].parametrizations.weight[0] for n in (0, 1))
    assert (first.share, second.share) == (0.8, 0.2)
    values = torch.from_numpy(rng.standard_normal(400_000))
    density = ((values > 0.5) | (values < -1.5)).double().mean().item()
    assert first.penalty().item() == pytest.approx(0.1 * 0.8 * density, abs=1e-3)
    first.penalty().backward()
    assert (first.log_t.grad < 0).all()  # a step down the gradient raises the thresholds


def test_the_objective_adds_the_pressure_of_its_quantizers():
    network = build_network("cnn2d_compact", ESR, 2)
    name = "branch.encoder.blocks.1.0"
    quantize(network, [name], "pttq", QuantizerSettings(pressure=0.5))
    objective = Objective(network, 2, TrainSettings())
    y = torch.arange(6) % 2
    views = {key: torch.randn(6, *shape) for key, shape in ESR.items()}
    terms = objective(views, Labels(y, y), None, False)
    quantizer = network.get_submodule(name).parametrizations.weight[0]
    assert terms["density"].item() == pytest.approx(quantizer.penalty().item())
    bare = quantize(build_network("cnn2d_compact", ESR, 2), [name], "pttq")
    assert set(Objective(bare, 2, TrainSettings())(views, Labels(y, y), None, False)) == {"labels"}


@pytest.mark.parametrize("shared", [False, True])
def test_every_parameter_is_in_exactly_one_group_of_the_optimizer(shared):
    network = build_network("hybrid_late", ESR, 2)
    names = ["members.0.branch.encoder.blocks.0.main.0", "members.1.branch.encoder.blocks.1.0"]
    quantize(network, names, "pttq", QuantizerSettings(shared=shared))
    groups = optimizer_of(network, [], TrainSettings()).param_groups
    grouped = [id(each) for group in groups for each in group["params"]]
    learned = {id(each) for each in network.parameters() if each.requires_grad}
    if shared:
        assert len({id(network.get_submodule(n).parametrizations.weight[0].log_t)
                    for n in names}) == 1  # fmt: skip
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == learned


def test_released_ttq_has_the_wrong_sign_at_the_negative_scale():
    weight = torch.tensor([-0.8, -0.3, 0.1, 0.5, 0.9], requires_grad=True)
    quantizer = RELEASED["ttq"](weight, QuantizerSettings(threshold=0.25 / 0.9 - 1e-6))
    quantizer.scales.data = torch.tensor([3.0, 2.0])
    shown = quantizer(weight)
    assert shown.tolist() == [-3, -3, 0, 2, 2]
    shown.backward(torch.tensor([0.2, -0.4, 0.6, -0.1, 0.3]))
    assert quantizer.scales.grad.tolist() == pytest.approx([-0.2, 0.2])
    assert weight.grad.tolist() == pytest.approx([0.6, -1.2, 0.6, -0.2, 0.6])


def test_released_attq_starts_with_two_levels():
    assert set(RELEASED["attq"](SLIDE)(SLIDE).flatten().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("sd", "zeros"), [(0.0241, 0.595), (0.017, 0.0)])
def test_released_pttq_finds_its_zeros_by_underflow(sd, zeros):
    weight = sd * torch.from_numpy(np.random.default_rng(0).standard_normal(200_000)).float()
    settings = QuantizerSettings(t_min=4.5, t_max=4.5, alpha=1000)
    shown = ReleasedPTTQ(weight, settings)(weight)
    assert (shown == 0).float().mean().item() == pytest.approx(zeros, abs=0.01)
    threshold = (weight.mean() + 4.5 * weight.std()).item() - 88.7229 / 1000
    assert weight[shown > 0].min().item() == pytest.approx(max(threshold, 0), abs=1e-4)


def test_released_thresholds_do_not_know_the_loss(rng):
    weight = torch.from_numpy(rng.standard_normal(60)).float()
    quantizer, found = ReleasedPTTQ(weight, QuantizerSettings(alpha=10)), []
    for mix in torch.from_numpy(rng.standard_normal((2, 60))).float():
        quantizer.zero_grad()
        (mix * quantizer(weight)).sum().backward()
        found.append(quantizer.t.grad.clone())
    assert torch.equal(*found)
    assert found[0][0] > 0 > found[0][1]  # so that t_min falls and t_max rises


def test_released_forms_train_within_a_network():
    for method in RELEASED:
        layer = quantize(nn.Sequential(nn.Linear(6, 5)), ["0"], method,
                         QuantizerSettings(profile="released"))  # fmt: skip
        layer(torch.randn(4, 6)).square().sum().backward()
        assert layer[0].parametrizations.weight[0].scales.grad.isfinite().all()


def test_impossible_settings_are_refused():
    with pytest.raises(SettingsError, match="t_min 0.5 is not below t_max -1"):
        QUANTIZERS["attq"](SLIDE, QuantizerSettings(t_min=0.5, t_max=-1))
    with pytest.raises(SettingsError, match="t_min -1.0, t_max 1.0; expected positive"):
        QUANTIZERS["pttq"](SLIDE, QuantizerSettings(t_min=-1))
    with pytest.raises(SettingsError, match="'int8' has no released form"):
        quantize(nn.Sequential(nn.Linear(3, 3)), ["0"], "int8",
                 QuantizerSettings(profile="released"))  # fmt: skip

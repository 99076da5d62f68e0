"""Views made in C: equal to those of the package, refused where there is no form, on the device."""

import copy
import ctypes
import struct
import subprocess

import numpy as np
import pytest
from numpy.testing import assert_allclose

from damaged_models import with_crc
from emboscope.datasets.hits import front_end as hits_front_end
from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.export.builder import Builder
from emboscope.export.c_code import CodeForm, export_c
from emboscope.export.cortex_m4 import DeviceFigures, has_cortex_m4, run_on_cortex_m4
from emboscope.export.interpreter import run_packed
from emboscope.export.manifest import SIGNAL
from emboscope.export.packed import packed_bytes, read_packed
from emboscope.export.program import Program
from emboscope.export.runtime import (
    SHARED,
    STRICT,
    Runtime,
    compiled,
    compiler,
    runtime_source,
)
from emboscope.export.translation import program_of
from emboscope.export.views import add_view, signal_shape
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.learning.settings import TrainSettings
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.hits_features import FEATURES, hits_features
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.mel import MelSettings
from emboscope.representations.views import SpectrogramSettings, WaveformSettings
from emboscope.signal.spectrum import HighPass
from packed_networks import packed_with_front_end

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")

VIEWS = {
    "image": SpectrogramSettings(),
    "paper": SpectrogramSettings(profile="paper", window="hamming"),
    "background": SpectrogramSettings(reference="background", n_fft=64, hop=28, window="hann"),
    "decibels": SpectrogramSettings(
        reference="background", normalization="none", n_fft=56, window_length=40, n_frames=20
    ),
    "odd": SpectrogramSettings(scaling="min_max", n_fft=33, hop=7),
    "min_max": WaveformSettings(scaling="min_max", unit_divisor=100.0),
    "over_median": WaveformSettings(scaling="background"),
}


def chain(view, n_channels):
    return FrontEnd(sfreq=1000.0, n_channels=n_channels, n_times=300, views={"view": view})


def made_in_c(front_end):
    """The packed program that makes the view alone."""
    shape = signal_shape(front_end)
    builder = Builder({SIGNAL: shape})
    out = add_view(builder, front_end, "view", builder.inputs[SIGNAL])
    program = Program({SIGNAL: shape}, tuple(builder.operations), tuple(builder.sizes), out)
    return packed_bytes(program, ["x"], "0" * 64)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("name", list(VIEWS))
def test_a_view_made_in_c_is_that_of_the_package(name, n_channels, rng):
    front_end = chain(VIEWS[name], n_channels)
    signal = rng.standard_normal((6, n_channels, 300)).astype(np.float32)
    signal[:, :, 100:130] *= 20
    signal[0] = 0
    expected = front_end.compute(signal)["view"].reshape(6, -1)
    content = made_in_c(front_end)
    scale = np.abs(expected).max()
    found = Runtime(content).predict_proba({SIGNAL: signal})
    assert_allclose(found, expected, atol=2e-5 * scale + 1e-5)
    interpreted = run_packed(read_packed(content), {SIGNAL: signal})
    assert_allclose(interpreted, expected, atol=2e-6 * scale + 1e-6)


def test_features_by_hand_made_in_c_are_those_of_the_package(rng):
    """Noise, bursts of every length, flow away and beyond the fold, gaps, silence."""
    front_end = FrontEnd(
        sfreq=4385.0, n_channels=2, n_times=1400, views={"view": MeasuresSettings()}
    )
    times = np.arange(1400) - 700
    line = 0.2 * (rng.standard_normal((60, 1400)) + 1j * rng.standard_normal((60, 1400)))
    hz = rng.uniform(-2000, 2000, (60, 1))
    flow = np.exp(
        2j * np.pi * (hz + 80 * rng.standard_normal((60, 1400)).cumsum(1) / 40) * times / 4385
    )
    spread = rng.uniform(8, 150, (60, 1))
    height = rng.uniform(0, 12, (60, 1)) * np.exp(-((times / spread) ** 2))
    height = np.where((np.abs(times) > 20) & (np.abs(times) < 60) & (hz > 800), 0, height)
    line = 0.05 * (line + (1 + height) * flow)
    line[0] = 0
    signal = np.stack([line.real, line.imag], axis=1).astype(np.float32)
    expected = hits_features(signal, 4385.0)
    scale = expected[1:].std(axis=0)
    found = Runtime(made_in_c(front_end)).predict_proba({SIGNAL: signal})
    assert np.isfinite(found).all()
    apart = np.abs(found - expected)[1:] / scale
    worst = dict(zip(FEATURES, apart.max(axis=0), strict=True))
    assert max(worst.values()) < 1e-3, worst
    assert_allclose(found[0], expected[0], atol=1e-3)
    few = run_packed(read_packed(made_in_c(front_end)), {SIGNAL: signal[:2]})
    assert_allclose(few, expected[:2], rtol=1e-5, atol=1e-5)


def test_frames_that_start_nowhere_are_refused():
    content = bytearray(made_in_c(chain(VIEWS["image"], 1)))
    starts = struct.pack("<3f", 0.0, 4.0, 8.0)
    place = bytes(content).index(starts)
    for value in (float("nan"), float("inf"), -1e9):
        content[place : place + 4] = struct.pack("<f", value)
        with pytest.raises(DataError, match="malformed"):
            Runtime(with_crc(bytes(content)))


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (MelSettings(), r"view 'view' \(mel\) has no form in C"),
        (SpectrogramSettings(profile="released"), r"view 'view' \(released\) has no form in C"),
    ],
)
def test_a_view_without_a_form_in_c_is_refused(view, text):
    with pytest.raises(SettingsError, match=text):
        made_in_c(chain(view, 2))


@pytest.fixture(scope="module")
def classifier():
    """A small hybrid that learned of I and Q, front end included."""
    rng = np.random.default_rng(3)
    signal = (
        rng.standard_normal((60, 2, 1400)) * np.where(np.arange(60) % 3 == 0, 2, 1)[:, None, None]
    )
    y = np.arange(60) % 3
    signal[y == 1, :, 650:750] *= 8
    front_end = hits_front_end()
    small = NetworkSettings(compact_width=4)
    model = SignalClassifier(
        "hybrid_late", front_end, small, TrainSettings(epochs=2, batch=20), 0, "cpu"
    )
    views = front_end.compute(signal)
    return model.fit(views, y), views


def test_an_export_with_its_front_end_takes_the_signal(classifier, tmp_path):
    model, views = classifier
    manifest = export_c(model, tmp_path, views, form=CodeForm(front_end=True))
    assert [(each.name, each.shape) for each in manifest.inputs] == [("signal", (2, 1400))]
    header = (tmp_path / "model.h").read_text()
    assert "int emboscope_predict(const float *signal, float *probabilities);" in header
    assert "4385 Hz, in the unit of the recordings, I, then Q, after the high-pass" in header
    found = Runtime((tmp_path / "model.emb").read_bytes()).predict_proba({
        "signal": views["waveform"]
    })
    assert_allclose(found, model.predict_proba(views), atol=1e-5)


def test_a_front_end_that_is_not_there_is_told(classifier, tmp_path):
    model, views = classifier
    bare = copy.copy(model)
    bare.front_end = None
    with pytest.raises(SettingsError, match="trained without one"):
        export_c(bare, tmp_path, form=CodeForm(front_end=True))
    with pytest.raises(DataError, match="waveform missing"):
        export_c(model, tmp_path, {"spectrogram": views["spectrogram"]},
                 form=CodeForm(front_end=True))  # fmt: skip


def test_the_high_pass_in_c_goes_on_from_block_to_block(classifier, rng, tmp_path):
    export_c(classifier[0], tmp_path, form=CodeForm(front_end=True))
    library = tmp_path / "model.so"
    subprocess.run([compiler(), *STRICT, "-O2", "-shared", "-fPIC", tmp_path / "model.c", "-o",
                    library, "-lm"], check=True)  # fmt: skip
    code = ctypes.CDLL(str(library))
    line = 3 + rng.standard_normal(4000) + 1j * rng.standard_normal(4000)
    samples = np.stack([line.real, line.imag], axis=1).astype(np.float32)
    state = np.zeros(100, np.uint8)
    for start, stop in ((0, 1), (1, 1500), (1500, 4000)):
        block = samples[start:stop]
        code.emboscope_filter(state.ctypes.data_as(ctypes.c_void_p),
                              block.ctypes.data_as(ctypes.c_void_p), stop - start)  # fmt: skip
    expected = HighPass(4385.0, 150.0)(line)
    assert_allclose(samples[:, 0] + 1j * samples[:, 1], expected, atol=2e-5)


def test_the_device_is_asked_for_only_where_it_is(classifier, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmboscopeError, match="Install Debian's gcc-arm-none-eabi"):
        run_on_cortex_m4(tmp_path, {})


@pytest.mark.slow
@pytest.mark.skipif(not has_cortex_m4(), reason="no cross-compiler or emulator")
@pytest.mark.parametrize("front_end", [False, True])
def test_a_cortex_m4_answers_as_pytorch_does(classifier, front_end, tmp_path):
    model, views = classifier
    manifest = export_c(model, tmp_path, views, form=CodeForm(front_end=front_end))
    given = {"signal": views["waveform"]} if front_end else views
    few = {each.name: given[each.name][:3] for each in manifest.inputs}
    figures = run_on_cortex_m4(tmp_path, few)
    assert isinstance(figures, DeviceFigures)
    expected = model.predict_proba({name: view[:3] for name, view in views.items()})
    assert_allclose(figures.probabilities, expected, atol=1e-5)
    arena = 4 * read_packed((tmp_path / "model.emb").read_bytes()).n_arena
    assert arena < figures.ram_bytes < arena + 4000
    assert (tmp_path / "model.emb").stat().st_size < figures.flash_bytes
    assert 1e5 < figures.instructions < 1e8


def test_a_view_that_two_members_read_is_made_once():
    chain = hits_front_end()
    settings = NetworkSettings(
        compact_width=4, resnet_width=4, members=("cnn2d_compact", "resnet2d")
    )
    network = build_network("hybrid_late", chain.shapes, 3, settings).eval()
    shapes = {"spectrogram": chain.shapes["spectrogram"]}
    kinds = [step.kind for step in program_of(network, shapes, chain).operations]
    assert kinds.count("spectrum") == 1


def test_on_a_device_scratch_is_left_to_the_step_that_asked_for_it(rng):
    """The features by hand ask for more than a fast convolution would take beside live buffers."""
    content = packed_with_front_end()
    model = read_packed(content)
    code = ctypes.CDLL(str(compiled(runtime_source() + SHARED)))
    signal = rng.standard_normal((3, 2, 400)).astype(np.float32)
    expected = Runtime(content).predict_proba({SIGNAL: signal})
    arena, found = np.zeros(model.n_arena, np.float32), np.zeros(3, np.float32)
    for row, wanted in zip(signal, expected, strict=True):
        inputs = (ctypes.c_void_p * 1)(row.ctypes.data)
        code.emboscope_run(content, ctypes.c_void_p(arena.ctypes.data), inputs,
                           ctypes.c_void_p(found.ctypes.data))  # fmt: skip
        assert_allclose(found, wanted, atol=1e-5)


def test_scratch_beyond_the_arena_is_refused():
    content = bytearray(packed_with_front_end())
    n_arena, n_scratch = struct.unpack_from("<2I", content, 32)
    for place in (n_arena - n_scratch + 1, n_arena, 2**31, 2**32 - 1):
        struct.pack_into("<I", content, 56, place)
        with pytest.raises(DataError, match="malformed"):
            Runtime(bytes(content))

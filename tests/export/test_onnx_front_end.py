"""The front end inside the graph: a signal gives what the package's own views of it give."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from emboscope.errors import DataError, SettingsError
from emboscope.export.manifest import read_manifest
from emboscope.export.onnx import export_onnx
from emboscope.export.onnx_forms import OnnxForm
from emboscope.export.onnx_front_end import FromSignal, front_end_for, with_formulas
from emboscope.export.onnx_graph import converted
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.export.views import signals
from emboscope.learning.architecture import LinearHead, NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.views import SpectrogramSettings, WaveformSettings

EEG = FrontEnd(
    sfreq=173.61,
    n_times=178,
    views={"waveform": WaveformSettings(unit_divisor=100.0), "spectrogram": SpectrogramSettings()},
)
DOPPLER = FrontEnd(
    sfreq=4385,
    n_channels=2,
    n_times=700,
    views={
        "waveform": WaveformSettings(scaling="background"),
        "spectrogram": SpectrogramSettings(
            reference="background", n_fft=48, window_length=40, n_frames=24, window="hamming"
        ),
    },
)
PUBLISHED = FrontEnd(
    sfreq=173.61,
    n_times=178,
    views={
        "waveform": WaveformSettings(scaling="min_max"),
        "spectrogram": SpectrogramSettings(profile="released", scaling="min_max"),
    },
)


def classifier_of(front_end, model="hybrid_late", seed=2):
    torch.manual_seed(seed)
    settings = NetworkSettings(compact_width=8)
    classifier = SignalClassifier(model, front_end=front_end, network=settings)
    classifier.classes_, classifier.shapes_ = np.arange(3), dict(front_end.shapes)
    classifier.network_ = build_network(model, front_end.shapes, 3, settings)
    views = front_end.compute(segments(front_end, 40, 7))
    with torch.no_grad():
        for branch in classifier.network_.branches:
            branch.fit_to(torch.from_numpy(views[branch.view]))
        for _ in range(30):  # until the batch norms know these views
            classifier.network_({name: torch.from_numpy(view) for name, view in views.items()})
        for part in classifier.network_.modules():
            if isinstance(part, LinearHead):
                part.linear.weight.mul_(5)  # so that it tells signals apart
    classifier.network_.eval()
    return classifier


def segments(front_end, n, seed):
    """Noise with a tone that comes, in the unit of the recordings."""
    rng = np.random.default_rng(seed)
    t = np.arange(front_end.n_times) / front_end.sfreq
    tone = np.cos(2 * np.pi * front_end.sfreq / 9 * t) * (t > t.mean())
    noise = rng.standard_normal((n, front_end.n_channels, front_end.n_times))
    return (30 * (noise + 3 * rng.random((n, 1, 1)) * tone)).astype(np.float32)


@pytest.mark.parametrize("front_end", [EEG, DOPPLER, PUBLISHED], ids=["eeg", "doppler", "released"])
def test_a_signal_gives_the_probabilities_of_its_views(front_end, tmp_path):
    classifier = classifier_of(front_end)
    manifest = export_onnx(classifier, tmp_path, form=OnnxForm(front_end=True))
    runtime = OnnxRuntime((tmp_path / "model.onnx").read_bytes())
    shape = (front_end.n_channels, front_end.n_times)
    assert runtime.inputs == {"signal": shape}
    assert [(each.name, each.shape) for each in manifest.inputs] == [("signal", shape)]
    assert read_manifest(tmp_path).front_end_inside
    for n in (1, 5, 40):
        signal = segments(front_end, n, seed=n)
        expected = classifier.predict_proba(front_end.compute(signal))
        np.testing.assert_allclose(runtime.predict_proba({"signal": signal}), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1  # the signals are told apart


def test_the_check_reads_the_signals_of_real_waveforms(tmp_path):
    views = EEG.compute(segments(EEG, 20, 3))
    export_onnx(classifier_of(EEG), tmp_path, views, form=OnnxForm(front_end=True))
    check = json.loads((tmp_path / "check.json").read_text())
    assert (check["inputs"], check["front_end_inside"]) == ("real", True)
    assert check["largest_difference"] <= check["tolerance"] == 1e-4


def test_signals_are_those_of_the_waveforms_unless_they_are_scaled():
    original = segments(EEG, 3, 0)
    told, real = signals(EEG, EEG.compute(original), 5)
    assert real
    np.testing.assert_allclose(told, original[[0, 1, 2, 0, 1]], rtol=1e-6)
    noise, real = signals(DOPPLER, DOPPLER.compute(segments(DOPPLER, 3, 0)), 5)
    assert not real
    assert noise.shape == (5, 2, 700)


def test_formulas_give_the_constants_in_fewer_bytes():
    network = classifier_of(DOPPLER, "cnn2d_compact").network_
    inside = front_end_for(DOPPLER, ("spectrogram",))
    signal = segments(DOPPLER, 6, 1)
    model = converted(FromSignal(network, inside).eval(), {"signal": torch.from_numpy(signal)})
    large, found = model.ByteSize(), []
    for _ in range(2):
        session = onnxruntime.InferenceSession(model.SerializeToString())
        found.append(session.run(None, {"signal": signal})[0])
        model = with_formulas(model, inside)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    constants = 8 * (2 * 40 * 48 + 24 * 40)  # cosines, sines, places of the frames
    assert large - model.ByteSize() > 0.9 * constants
    assert not any(
        each.data_type == onnx.TensorProto.DOUBLE and len(each.dims) == 2 and each.dims[1] > 1
        for each in model.graph.initializer
    )


def test_views_that_the_network_does_not_read_are_not_asked_for(tmp_path):
    views = {**EEG.views, "extra": MeasuresSettings()}
    front_end = EEG.model_copy(update={"views": views})
    assert list(front_end_for(front_end, ("spectrogram",)).views) == ["spectrogram"]


@pytest.mark.parametrize(
    ("front_end", "views", "text"),
    [
        (None, ("waveform",), "this model has none; expected one to put into the graph"),
        (EEG, ("waveform", "mel"), "it does not make 'mel'; expected all of waveform, mel"),
        (
            EEG.model_copy(update={"views": {**EEG.views, "extra": MeasuresSettings()}}),
            ("waveform", "extra"),
            r"'extra' \(measures\) has no form in ONNX; expected waveform and spectrogram alone",
        ),
    ],
)
def test_a_front_end_without_a_form_in_onnx_is_refused(front_end, views, text):
    with pytest.raises(SettingsError, match=text):
        front_end_for(front_end, views)


def test_eight_bits_with_a_scaled_waveform_cannot_be_calibrated(tmp_path):
    views = DOPPLER.compute(segments(DOPPLER, 8, 3))
    form = OnnxForm("int8", front_end=True, calibration=views)
    with pytest.raises(DataError, match="in which the waveform tells the signal"):
        export_onnx(classifier_of(DOPPLER), tmp_path, views, form=form)

"""Readers of other packages."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from emboscope.errors import DataError
from emboscope.signal import plugins
from emboscope.signal.readers import READERS, open_source, read_recording
from emboscope.signal.source import Raw

SAMPLES = np.exp(0.5j * np.arange(5000))[np.newaxis]


def open_abc(path, sfreq):
    """What a package would give: one gate, I + jQ."""
    return Raw(4385.0, 5000, lambda start, stop: SAMPLES[:, start:stop], carrier_hz=2e6)


def open_flat(path, sfreq):
    """Samples of a wrong shape."""
    return Raw(4385.0, 5000, lambda start, stop: SAMPLES[0, start:stop])


def open_nothing(path, sfreq):
    """No Raw."""


def open_badly(path, sfreq):
    """An error of its own."""
    raise KeyError("block\n7")


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Makes a function of this file the reader of `.abc`, and gives a file of that suffix."""

    def installed(function, suffix=".abc"):
        point = EntryPoint(suffix, f"{__name__}:{function}", plugins.GROUP)
        monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])
        monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
        path = tmp_path / f"p01{suffix}"
        path.write_text("x")
        return path

    return installed


def test_plug_in_reads_its_suffix(install):
    recording = read_recording(install("open_abc"))
    assert (recording.sfreq, recording.carrier_hz) == (4385.0, 2e6)
    np.testing.assert_array_equal(recording.samples, SAMPLES.astype(np.complex64))


def test_built_in_suffix_cannot_be_overridden(install):
    with pytest.raises(DataError, match="not an audio file"):
        open_source(install("open_abc", ".wav"))


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("missing", r"plug-in '.abc' \(.*:missing\) cannot be loaded \(KeyError.*uninstall"),
        ("open_nothing", "gave NoneType; expected a Raw"),
        ("open_flat", r"gave samples of shape \(1,\); expected \(1, 1\)"),
        ("open_badly", r"not a file that the plug-in '.abc' reads, or damaged"),
    ],
)
def test_broken_plug_in_gives_one_sentence(install, function, text):
    with pytest.raises(DataError, match=text) as caught:
        open_source(install(function))
    assert "\n" not in str(caught.value)


def test_unknown_suffix_names_plug_ins_too(install):
    path = install("open_abc").with_suffix(".xyz")
    path.write_text("x")
    with pytest.raises(DataError, match=r"'.xyz' is not read; expected .*\.abc"):
        open_source(path)
    assert ".abc" not in READERS

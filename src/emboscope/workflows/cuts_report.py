"""The report of cut HITS: which samples it shows, how each looks, and how it sounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emboscope.events.event import LABELS
from emboscope.report.cut_hits import CLASSES, CutHits, HitsPicture, cut_hits_report
from emboscope.report.session import ModelNote
from emboscope.report.session_figures import event_figure
from emboscope.report.wording import Wording
from emboscope.signal.spectrum import HighPass, decibel, stft
from emboscope.workflows.files import write_text
from emboscope.workflows.gallery import GallerySettings, wav

_EACH = 3  # the surest of each class, and as many of which the model is least sure
_MODEL = ("name", "trained_on", "least_probability", "weights_sha256")  # of what a judge notes


def write_cuts_report(
    path: Path,
    content: dict[str, Any],
    table: Sequence[tuple[str, str, int, str]],
    found: np.ndarray,
    segments: np.ndarray,
    sfreq: float,
    language: str,
) -> None:
    """Write the report of a table of HITS.

    Parameters
    ----------
    path : Path
    content : dict
        What `NAME.hits.json` holds.
    table : sequence of tuple
        Name, patient, class (−1 where the file tells none) and label of each sample.
    found : ndarray, shape (n, 3)
        Probabilities.
    segments : ndarray, shape (n, 2, n_times)
        I and Q, the peak in the middle.
    sfreq : float
        In Hz.
    language : str
        `en`, `es` or `fr`.
    """
    words, settings = Wording(language), GallerySettings()
    gallery = []
    for row in chosen([label for *_, label in table], found):
        sample, patient, y, label = table[row]
        signal = segments[row, 0] + 1j * segments[row, 1]
        gallery.append(
            HitsPicture(
                sample, patient, LABELS[y] if y >= 0 else "", label, tuple(found[row].tolist()),
                _drawn(signal, sfreq, words, settings), wav(signal, sfreq, settings.audio_hz),
            )
        )  # fmt: skip
    hits = CutHits(
        name=content["name"],
        labels=content["labels"],
        n_patients=len({patient for _, patient, *_ in table if patient}),
        known=content["known"],
        mcc=content["mcc"],
        unknown_share=content["unknown_share"],
        confusion=content["confusion"],
        flags=content["flags"],
        gallery=tuple(gallery),
        model=ModelNote(**{name: content["model"][name] for name in _MODEL}),
        versions=content["versions"],
    )
    write_text(path, cut_hits_report(hits, language))


def chosen(labels: Sequence[str], found: np.ndarray) -> list[int]:
    """Rows to show: of each class the surest three, then the three least sure."""
    sure = found.max(axis=1)
    rows: list[int] = []
    for name in CLASSES:
        of_class = np.flatnonzero(np.array(labels) == name)
        ordered = of_class[np.argsort(-sure[of_class], kind="stable")].tolist()
        rows += ordered if len(ordered) <= 2 * _EACH else ordered[:_EACH] + ordered[-_EACH:]
    return rows


def _drawn(signal: np.ndarray, sfreq: float, words: Wording, settings: GallerySettings) -> bytes:
    """The spectrogram in dB over the flow: the median frame of the louder side.

    Frames of the zeros that fill up a short sample do not count.
    """
    filtered = HighPass(sfreq, settings.highpass_hz)(signal)
    window = min(settings.window, filtered.size)
    spectrum = stft(filtered, sfreq, window, settings.hop, settings.n_fft, "hamming")
    freqs = spectrum.freqs
    filled = spectrum.power.sum(axis=0) > 1e-9 * spectrum.power.sum(axis=0).max()
    middle = np.median(spectrum.power[:, filled], axis=1) if filled.any() else np.zeros(freqs.size)
    flow = max(
        np.percentile(middle[side], 90)
        for side in (spectrum.freqs > settings.highpass_hz, spectrum.freqs < -settings.highpass_hz)
    )
    level = decibel(spectrum.power) - decibel(np.asarray(flow))
    times = spectrum.times - signal.size / 2 / sfreq
    return event_figure(level, times, spectrum.freqs, "Hz", None, words)

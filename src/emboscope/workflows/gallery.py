"""The events that a report shows: which, how each looks, and how it sounds."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from pydantic import Field, PositiveFloat, PositiveInt

from emboscope.events.event import VERDICTS, Event
from emboscope.report.session import EventPicture
from emboscope.report.session_figures import event_figure
from emboscope.report.wording import Wording
from emboscope.settings import Settings
from emboscope.signal.audio import stereo_clip
from emboscope.signal.doppler import velocity
from emboscope.signal.spectrum import HighPass, Spectrum, decibel, stft

WARM_UP_S = 0.25  # of the high-pass, cut off again


class GallerySettings(Settings):
    """Which events are shown, and how they are cut, drawn and played."""

    most: int = Field(default=40, ge=0, le=40)  # a report stays under 15 MB
    clip_s: PositiveFloat = 1.0
    audio_hz: PositiveInt = 11025
    highpass_hz: PositiveFloat = 150.0
    window: PositiveInt = 128
    hop: PositiveInt = 16
    n_fft: PositiveInt = 256
    box_db: PositiveFloat = 10.0  # the box holds the rows within this of the strongest


@dataclass(frozen=True)
class Signal:
    """Where samples come from, and what their frequencies mean.

    Attributes
    ----------
    read : callable (start, stop) -> ndarray (stop - start,), complex
        Samples of the first gate, I + jQ.
    n_times : int
    sfreq : float
        In Hz.
    carrier_hz : float, optional
        Without it pictures are in Hz.
    angle_deg, sound_speed_m_s : float
    """

    read: Callable[[int, int], np.ndarray]
    n_times: int
    sfreq: float
    carrier_hz: float | None = None
    angle_deg: float = 0.0
    sound_speed_m_s: float = 1540.0


def choose(events: Sequence[Event], most: int) -> list[tuple[int, Event]]:
    """The events to show with their numbers, from 1: by verdict, the strongest first."""
    numbered = list(enumerate(events, start=1))
    return sorted(numbered, key=lambda pair: (VERDICTS.index(pair[1].verdict), -pair[1].hbr_db))[
        :most
    ]


def pictures(
    events: Sequence[Event], signal: Signal, words: Wording, settings: GallerySettings
) -> tuple[EventPicture, ...]:
    """The chosen events with their pictures and sounds."""
    return tuple(
        _picture(number, event, signal, words, settings)
        for number, event in choose(events, settings.most)
    )


def _picture(
    number: int, event: Event, signal: Signal, words: Wording, settings: GallerySettings
) -> EventPicture:
    samples, start_s = cut(event, signal, settings)
    png = _draw(samples, start_s, event, signal, words, settings)
    return EventPicture(event, png, wav(samples, signal.sfreq, settings.audio_hz), number)


def cut(event: Event, signal: Signal, settings: GallerySettings) -> tuple[np.ndarray, float]:
    """High-passed samples around the peak of an event, and the time of the first, in seconds.

    Returns
    -------
    samples : ndarray, shape (n_times,), complex64
        `clip_s` long; near an end of the recording the event is not in the middle.
    start_s : float
    """
    length = min(round(settings.clip_s * signal.sfreq), signal.n_times)
    wanted = round(event.peak_s * signal.sfreq) - length // 2
    start = min(max(wanted, 0), signal.n_times - length)
    first = max(0, start - round(WARM_UP_S * signal.sfreq))
    filtered = HighPass(signal.sfreq, settings.highpass_hz)(signal.read(first, start + length))
    return filtered[start - first :], start / signal.sfreq


def _draw(
    samples: np.ndarray,
    start_s: float,
    event: Event,
    signal: Signal,
    words: Wording,
    settings: GallerySettings,
) -> bytes:
    window = min(settings.window, samples.size)
    spectrum = stft(samples, signal.sfreq, window, settings.hop, settings.n_fft, "hamming")
    freqs, order = shifted_axis(spectrum.freqs, signal.sfreq, event.frequency_hz)
    power, times = spectrum.power[order], spectrum.times + start_s
    flow = np.asarray(flow_power(spectrum, times, event, settings.highpass_hz))
    level = decibel(power) - decibel(flow)
    inside = (times >= event.onset_s) & (times <= event.onset_s + event.duration_s)
    inside[np.argmin(np.abs(times - event.peak_s))] = True
    low, high = box_rows(power[:, inside].max(axis=1), freqs, event.frequency_hz, settings.box_db)
    vertical, unit = np.asarray(freqs), "Hz"
    if signal.carrier_hz:
        scale = velocity(1.0, signal.carrier_hz, signal.angle_deg, signal.sound_speed_m_s)
        vertical, low, high, unit = freqs * scale, low * float(scale), high * float(scale), "cm/s"
    onset = event.onset_s - event.peak_s
    box = (onset, onset + event.duration_s, low, high)
    return event_figure(level, times - event.peak_s, vertical, unit, box, words)


def shifted_axis(
    freqs: np.ndarray, sfreq: float, frequency_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """The axis moved so far that a frequency lies on it, and the order of the rows in it.

    Parameters
    ----------
    freqs : ndarray, shape (n_freqs,)
        Ascending from -sfreq / 2, in Hz.
    sfreq, frequency_hz : float
        In Hz; the frequency with aliasing undone.

    Returns
    -------
    moved : ndarray, shape (n_freqs,)
        Ascending; each differs from its own row of `freqs` by 0 or ±sfreq.
    order : ndarray of int, shape (n_freqs,)
    """
    sign = 1.0 if frequency_hz >= 0 else -1.0
    beyond = max(0.0, abs(frequency_hz) + sfreq / 10 - sfreq / 2)
    moved = np.where(sign * freqs < beyond - sfreq / 2, freqs + sign * sfreq, freqs)
    order = np.argsort(moved)
    return moved[order], order


def flow_power(spectrum: Spectrum, times: np.ndarray, event: Event, low_hz: float) -> float:
    """Power of the rows in which blood flows on the event's side, without the event.

    The median over time of each row, and of these the upper decile: rows of noise do not count.
    """
    side = spectrum.freqs * (1.0 if event.frequency_hz >= 0 else -1.0) > low_hz
    outside = (times < event.onset_s) | (times > event.onset_s + event.duration_s)
    if not outside.any():
        outside[:] = True
    return float(np.percentile(np.median(spectrum.power[side][:, outside], axis=1), 90))


def box_rows(
    profile: np.ndarray, freqs: np.ndarray, frequency_hz: float, within_db: float
) -> tuple[float, float]:
    """Lowest and highest frequency of the rows around one that are nearly as strong as it."""
    peak = int(np.argmin(np.abs(freqs - frequency_hz)))
    weak = np.flatnonzero(profile < profile[peak] / 10 ** (within_db / 10))
    below, above = weak[weak < peak], weak[weak > peak]
    low = below[-1] if below.size else 0
    high = above[0] if above.size else freqs.size - 1
    return float(freqs[low]), float(freqs[high])


def wav(samples: np.ndarray, sfreq: float, rate: int) -> bytes:
    """A WAV file of complex samples: flow towards the probe left, away right."""
    buffer = io.BytesIO()
    soundfile.write(buffer, stereo_clip(samples, sfreq, rate), rate, "PCM_16", format="WAV")
    return buffer.getvalue()

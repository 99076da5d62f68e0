"""Blood without noise and wall, and emboli put into it, for the acceptance of the simulator."""

from dataclasses import replace

import numpy as np

from emboscope.signal.spectrum import stft
from emboscope.simulation.backdrop import Backdrop
from emboscope.simulation.course import draw_course
from emboscope.simulation.disturbances import disturbances
from emboscope.simulation.emboli import Embolus, passage
from emboscope.simulation.flow import HOP, gaussian_process
from emboscope.simulation.heart import Heart
from emboscope.simulation.patient import draw_patient, draw_session
from emboscope.simulation.settings import SimulationSettings

SFREQ = 4385.0
HEART = Heart(mean_cm_s=57.0, pulsatility=1.04, rate_bpm=68, variation=0.03)
BRIDGE_S = 0.015  # a shorter gap does not end an event


def clean_blood(carrier_hz, seconds, rng):
    """Course and samples of pulsatile flow straight along the beam."""
    settings = SimulationSettings(preset="blood", carrier_hz=carrier_hz)
    patient = replace(
        draw_patient(0, settings), heart=HEART, profile_exponent=4.0, broadening=0.06, snr_db=90.0
    )
    session = replace(
        draw_session(patient, 0, settings),
        angle_deg=0.0, clutter_db=-90.0, thump_db=None, other_vessel_db=None, level_db=-20.0,
    )  # fmt: skip
    course = draw_course(patient, session, seconds, np.zeros(0), disturbances([]), rng)
    backdrop = Backdrop(patient, session, course, SFREQ)

    def power(first, last):
        return backdrop.power(course.at(np.arange(first, last) * HOP / SFREQ))

    return course, gaussian_process(power, round(seconds * SFREQ), rng)


def hbr_and_duration(course, blood, ebr_db, rng):
    """Means over emboli of one strength: HBR at the peak in dB, and time over 3 dB in ms.

    Forward power of 64-point Hann frames, 16 apart, over its mean in the same phase of the beat.
    """
    seconds = blood.size / SFREQ
    peaks = np.arange(1.5, seconds - 1.5, 1.1) + rng.uniform(-0.3, 0.3)
    ratio = _with_emboli(course, blood, peaks, ebr_db, rng) / _background(course, blood)
    times = (np.arange(ratio.size) * 16 + 32) / SFREQ
    over, measured = times[ratio > 2], []
    for peak in peaks:
        near = np.abs(times - peak) < 0.02
        top = times[near][np.argmax(ratio[near])]
        measured.append((10 * np.log10(ratio[near].max()), 1000 * _span_around(over, top)))
    return np.mean(measured, axis=0)


def _forward(samples):
    spectrum = stft(samples, SFREQ, 64, 16)
    return spectrum.power[spectrum.freqs > 150].sum(axis=0)


def _background(course, blood):
    power = _forward(blood)
    own = course.at((np.arange(power.size) * 16 + 32) / SFREQ).amplitude ** 2
    return own * power.mean() / own.mean()


def _with_emboli(course, blood, peaks, ebr_db, rng):
    """Forward power with solid emboli of velocity ratio 0.8 and a sample volume of 10 mm."""
    samples = blood.copy()
    flow = course.at(np.arange(blood.size) / SFREQ)
    embolus = Embolus("solid", ebr_db, 0.8, "I", 0.0, 1.0, 0.0, 20.0)
    for peak in peaks:
        hz = course.hz_per_cm_s(np.array([peak]))[0]
        crossing = passage(embolus, peak, flow.largest_hz, hz, 10.0, SFREQ, rng)
        level = flow.amplitude[round(peak * SFREQ)]
        samples[crossing.first : crossing.first + crossing.samples.size] += level * crossing.samples
    return _forward(samples)


def _span_around(over, top):
    """Length of the run of times, gaps bridged, that holds `top`; 0 where none does."""
    if top not in over:
        return 0.0
    place = np.searchsorted(over, top)
    ends = np.flatnonzero(np.diff(over) > BRIDGE_S + 16 / SFREQ)
    first = ends[ends < place].max(initial=-1) + 1
    last = ends[ends >= place].min(initial=over.size - 1)
    return over[last] - over[first] + 16 / SFREQ

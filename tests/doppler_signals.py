"""Steady flow with known events in it, for tests of detection and for the acceptance script."""

import numpy as np

from emboscope.events.block import Acquisition
from emboscope.events.detection import detect
from emboscope.simulation.emboli import Embolus, passage
from emboscope.simulation.flow import HOP, flow_spectrum, gaussian_process, spectral_template

SFREQ = 4385.0
CARRIER = 1.5e6
HZ_PER_CM_S = 2 * CARRIER / 154000


def blood(rng, seconds=40, largest_cm_s=60, noise_db=-20, hz_per_cm_s=HZ_PER_CM_S):
    """Steady flow of unit power, with noise."""
    template = spectral_template(4.0, 0.06)
    n_times = round(seconds * SFREQ)
    largest = np.full(n_times // HOP + 8, largest_cm_s * hz_per_cm_s)
    flow = gaussian_process(lambda a, b: flow_spectrum(template, largest[a:b], SFREQ), n_times, rng)
    noise = rng.standard_normal((n_times, 2)) @ (1, 1j) / np.sqrt(2)
    return flow + 10 ** (noise_db / 20) * noise


def add_embolus(samples, peak_s, ebr_db, rng, largest_cm_s=60, hz_per_cm_s=HZ_PER_CM_S):
    """Add a type I embolus at 0.8 of the fastest flow, over unit blood."""
    embolus = Embolus("solid", ebr_db, 0.8, "I", 0.0, 1.0, 0.0, 20.0)
    flow = np.full(samples.size, largest_cm_s * hz_per_cm_s)
    crossing = passage(embolus, peak_s, flow, hz_per_cm_s, 10.0, SFREQ, rng)
    samples[crossing.first : crossing.first + crossing.samples.size] += crossing.samples


def with_embolus(samples, peak_s, ebr_db, rng):
    """A copy with one more embolus, in flow of 60 cm/s."""
    samples = samples.copy()
    add_embolus(samples, peak_s, ebr_db, rng)
    return samples


def tone_burst(samples, start_s, duration_s, amplitude, frequency_hz=900.0):
    """Add a tone on the flow side."""
    first, n = round(start_s * SFREQ), round(duration_s * SFREQ)
    times = np.arange(n) / SFREQ
    samples[first : first + n] += amplitude * np.exp(2j * np.pi * frequency_hz * times)


def scan(samples, scale=0.01, settings=None, detector="hbr_recursive", **options):
    """What a detector finds, with the blood at -40 dB of full scale."""
    samples = scale * samples
    acquisition = Acquisition(SFREQ, options.pop("carrier", CARRIER), **options)
    return detect(
        lambda a, b: samples[..., a:b], samples.shape[-1], acquisition, settings, detector
    )


def emboli(detection):
    """The events that count."""
    return [event for event in detection.events if event.verdict == "embolus"]

"""Energy in gammatone bands, by convolution with the impulse response in time."""

import math

import numpy as np


def band_energy(audio, sfreq, center, window, hop):
    """Mean square of one real signal in one band, of every second sample, window by window."""
    width = 1.019 * (24.7 + center / 9.26449)
    times = np.arange(len(audio)) / sfreq
    envelope = times**3 * np.exp(-2 * math.pi * width * times)
    response = envelope * np.exp(2j * math.pi * center * times)
    gain = abs(np.sum(response * np.exp(-2j * math.pi * center * times)))
    band = np.convolve(audio, response / gain)[: len(audio)]  # half of the analytic band
    return [
        np.mean(2 * np.abs(band[start : start + window : 2]) ** 2)
        for start in range(0, len(audio) - window + 1, hop)
    ]

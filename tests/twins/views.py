"""The three spectrogram profiles of a real signal, pixel by pixel."""

import cmath
import math


def column(samples):
    """Fourier sums of one windowed frame, rows from -sfreq / 2 upward."""
    n = len(samples)
    window = [
        0.42
        - 0.5 * math.cos(2 * math.pi * k / (n - 1))
        + 0.08 * math.cos(4 * math.pi * k / (n - 1))
        for k in range(n)
    ]
    return [
        sum(
            w * x * cmath.exp(-2j * math.pi * f * k / n)
            for k, (w, x) in enumerate(zip(window, samples, strict=True))
        )
        for f in range(-n // 2, n // 2)
    ]


def spectrogram(samples, profile, n_fft=32, hop=4):
    """Rows of dB, clipped."""
    columns = [column(samples[s : s + n_fft]) for s in range(0, len(samples) - n_fft + 1, hop)]
    if profile == "released":
        power = [[z.real**2 for z in each] for each in columns]
    else:
        power = [[abs(z) ** 2 for z in each] for each in columns]
    largest = max(max(each) for each in power)
    floor = {"corrected": 1e-12 * largest, "paper": 1e-12, "released": 0.0}[profile]
    factor = 20 if profile == "released" else 10
    levels = [[factor * math.log10(p + floor) for p in each] for each in power]
    flat = [value for each in levels for value in each]
    mean = sum(flat) / len(flat)
    sd = math.sqrt(sum((value - mean) ** 2 for value in flat) / len(flat))
    low, high = {"corrected": (-1, 4)}.get(profile, (0, 9))
    clipped = [[min(max(v, mean + low * sd), mean + high * sd) for v in each] for each in levels]
    return [list(row) for row in zip(*clipped, strict=True)]

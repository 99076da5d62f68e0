"""Small data sets of signals whose classes are plain."""

import numpy as np


def waves(y, n_times, sfreq, step_hz, noise, rng):
    """Sines of 6 Hz and `step_hz` more a class, at random phases, in noise; (n, n_times)."""
    times = np.arange(n_times) / sfreq
    phases = rng.uniform(0, 6, (len(y), 1))
    clean = np.sin(2 * np.pi * (6 + step_hz * y[:, None]) * times + phases)
    return clean + noise * rng.standard_normal((len(y), n_times))


def bursts(y, rng):
    """I and Q (n, 2, 1400) in faint noise; classes above 0 have a longer burst of higher pitch."""
    segments = rng.standard_normal((len(y), 2, 1400)).astype(np.float32) * 0.01
    times = np.arange(1400) / 4385
    for index, each in enumerate(y):
        envelope = np.exp(-(((np.arange(1400) - 700) / (40 + 60 * each)) ** 2))
        phase = 2 * np.pi * (300 + 250 * each) * times + rng.uniform(0, 6)
        segments[index] += 0.1 * each * envelope * np.stack([np.cos(phase), np.sin(phase)])
    return segments


def waves_file(folder):
    """An NPZ of two classes of different frequency, 30 patients; its path as text."""
    rng = np.random.default_rng(5)
    y = np.arange(240) % 2
    signal = waves(y, 178, 173.61, 18, 0.5, rng)
    np.savez(folder / "waves.npz", X=signal, y=y, groups=np.arange(240) // 8, sfreq=173.61)
    return str(folder / "waves.npz")

"""The short-time Fourier transform, frame by frame and bin by bin."""

import cmath
import math


def stft(samples, window_length, hop):
    """Rows from -sfreq / 2 upward, one column a frame; a tone of amplitude 1 reads 1."""
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / window_length) for n in range(window_length)]
    columns = []
    for start in range(0, len(samples) - window_length + 1, hop):
        column = []
        for k in range(-window_length // 2, window_length // 2):
            total = 0
            for n in range(window_length):
                turn = cmath.exp(-2j * math.pi * k * n / window_length)
                total += window[n] * samples[start + n] * turn
            column.append(total / sum(window))
        columns.append(column)
    return [list(row) for row in zip(*columns, strict=True)]

"""Electrocardiograms in WFDB records whose beats are known."""

import warnings

import numpy as np
import pytest


def wfdb():
    """The library, or a skip that says why."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("wfdb", reason="wfdb, of the extra files, is not installed")


def beating(n_times, beats, width, rng, size=900):
    """Integers (n_times,): noise, and a narrow peak of `size` at each of `beats`."""
    times = np.arange(n_times)[:, None]
    peaks = np.exp(-0.5 * ((times - np.asarray(beats)) / width) ** 2).sum(axis=1)
    return np.round(size * peaks + rng.normal(0, 5, n_times)).astype(np.int64)


def write_record(folder, name, channels, sfreq, leads, comments=()):
    """Channels (n_times, n_channels) of integers as NAME.hea and NAME.dat of 16 bits."""
    folder.mkdir(parents=True, exist_ok=True)
    n = channels.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb().wrsamp(
            name, sfreq, ["mV"] * n, leads, d_signal=channels, fmt=["16"] * n,
            adc_gain=[200.0] * n, baseline=[0] * n, comments=list(comments),
            write_dir=str(folder),
        )  # fmt: skip


def write_annotations(folder, name, samples, symbols, sfreq):
    """Annotations as NAME.atr."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb().wrann(
            name, "atr", np.asarray(samples), symbol=list(symbols), fs=sfreq,
            write_dir=str(folder),
        )  # fmt: skip


def read_record(record):
    """Channel 0 in ADC units, and samples and symbols of the annotations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        channel = wfdb().rdrecord(str(record), physical=False, channels=[0]).d_signal[:, 0]
        notes = wfdb().rdann(str(record), "atr")
    return channel, notes.sample, notes.symbol

"""Detectors in the wavelet domain: DWT with fuzzy rules, wavelet packets, directional wavelets."""

import numpy as np
import pywt
from scipy.fft import fft, fftfreq, ifft, next_fast_len
from scipy.ndimage import uniform_filter1d

from emboscope.events.statistics import ALARM_DB, Evidence, decibels, over_blood

WAVELET = "db8"
SCALES = 8  # of the DWT
# Aydin's fine scales 1-4 end at 223 Hz (at about 7.15 kHz); what is coarser is artifact
COARSE_HZ = 223.0
DWELL_S = 0.026  # smoothing of energies: about an embolus' dwell
PACKET_LEVEL = 5
HALF_OCTAVES = 7
RULES = {"intense": (2.0, 8.0), "fine": (-3.0, 3.0), "forward": (0.0, 6.0)}  # dB: never, surely


def smooth(energy: np.ndarray, step_s: float) -> np.ndarray:
    """Mean of an energy over the dwell of an embolus, along the last axis."""
    return uniform_filter1d(energy, max(1, round(DWELL_S / step_s)), axis=-1, mode="nearest")


def along_flow(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum of the block, and where its bins lie along the flow, aliasing undone, in Hz."""
    n = next_fast_len(evidence.filtered.size)
    freqs = fftfreq(n, 1 / evidence.band.sfreq)
    return fft(evidence.filtered, n), evidence.band.unwrap(freqs)


def forward_signal(evidence: Evidence) -> np.ndarray:
    """The part of the signal that goes along the flow, complex, shape (n_times,)."""
    spectrum, along = along_flow(evidence)
    return ifft(np.where(along > 0, spectrum, 0))[: evidence.filtered.size]


def rise_db(energy: np.ndarray) -> np.ndarray:
    """An energy over its median, in dB."""
    return decibels(energy / max(float(np.median(energy)), 1e-30))


def scale_energies(signal: np.ndarray, centers: np.ndarray, sfreq: float) -> np.ndarray:
    """Energy of each DWT scale at the frames, fine to coarse, shape (SCALES, n_frames)."""
    padded = np.pad(signal, (0, -signal.size % 2**SCALES))
    details = pywt.wavedec(padded, WAVELET, "periodization", SCALES)[:0:-1]
    rows = []
    for scale, detail in enumerate(details, start=1):
        step = 2**scale
        energy = smooth(np.abs(detail) ** 2, step / sfreq)
        rows.append(np.interp(centers, np.arange(energy.size) * step + step / 2, energy))
    return np.array(rows)


def membership(value_db: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """How far a value is from `never` (0) to `surely` (1)."""
    never, surely = limits
    return np.clip((value_db - never) / (surely - never), 0, 1)


def dwt_fuzzy(evidence: Evidence) -> np.ndarray:
    """DWT db8 of eight scales; fuzzy rules on its rise, its fineness and its direction.

    The membership of "intense, fine and forward" is the least of the three; one half lies at the
    alarm level. The border between fine and coarse scales is put at `COARSE_HZ`, that of scales
    1-4 to 5-8 at the original sampling rate; the limits of the rules are ours.

    References
    ----------
    .. [1] Aydin et al. (2004): 98 of 100 emboli, 95 of 100 artifacts, 198 of 202 speckles.
    """
    sfreq = evidence.band.sfreq
    energies = scale_energies(evidence.raw, evidence.centers, sfreq)
    top = sfreq / 2.0 ** np.arange(1, SCALES + 1)
    fine, coarse = energies[top / 2 >= COARSE_HZ / 2**0.5], energies[top / 2 < COARSE_HZ / 2**0.5]
    fineness = rise_db(fine.sum(axis=0)) - rise_db(coarse.sum(axis=0))
    excess = np.maximum(evidence.forward - evidence.expected, 0)
    reverse = np.maximum(evidence.reverse - np.median(evidence.reverse), 0)
    forward = decibels((excess + 1e-30) / (reverse + 1e-30))
    ratio = decibels(evidence.forward / evidence.expected)
    rules = [
        membership(ratio, RULES["intense"]),
        membership(fineness, RULES["fine"]),
        membership(forward, RULES["forward"]),
    ]
    return 2 * ALARM_DB * np.min(rules, axis=0)


def wavelet_packet(evidence: Evidence) -> np.ndarray:
    """Strongest node of a full wavelet packet tree of the forward signal, over its own median.

    References
    ----------
    .. [1] Chen et al. (2008): adaptive packets with a neuro-fuzzy stage, 97.1 % in vivo; here the
       packets alone.
    """
    tree = pywt.WaveletPacket(forward_signal(evidence), WAVELET, "periodization", PACKET_LEVEL)
    nodes = np.array([node.data for node in tree.get_level(PACKET_LEVEL, "freq")])
    step = 2**PACKET_LEVEL
    energy = smooth(np.abs(nodes) ** 2, step / evidence.band.sfreq)
    typical = np.median(energy, axis=1, keepdims=True)
    loud = typical[:, 0] > 0.05 * typical.max()  # a band without flow makes noise look strong
    strongest = (energy[loud] / typical[loud]).max(axis=0)
    at = np.arange(strongest.size) * step + step / 2
    return over_blood(np.interp(evidence.centers, at, strongest), evidence)


def directional_wavelet(evidence: Evidence) -> np.ndarray:
    """Forward energy after shrinking complex, one-sided wavelet coefficients.

    Wavelets of one half octave on one side of 0 Hz (Gaussians in the frequency domain), as the
    dual-tree complex transforms approximate. The energy of each band is lowered by its median,
    and what falls under 0 is noise, which raises an embolus over the flow.

    References
    ----------
    .. [1] Serbes and Aydin (2014). Denoising performance of modified dual-tree complex wavelet
       transform. doi 10.1007/s11517-013-1114-x
    """
    spectrum, along = along_flow(evidence)
    top = evidence.band.high_hz
    kept = np.zeros(evidence.centers.size)
    total = 0.0
    for k in range(HALF_OCTAVES):
        center = top * 2 ** (-(k + 0.5) / 2)
        if center < evidence.band.low_hz:
            break
        shape = np.exp(-0.5 * ((along - center) / (0.2 * center)) ** 2) * (along > 0)
        energy = np.abs(ifft(spectrum * shape)) ** 2
        energy = smooth(energy, 1 / evidence.band.sfreq)[evidence.centers]
        typical = float(np.median(energy))
        kept += np.maximum(energy - typical, 0)
        total += typical
    return over_blood(kept / max(total, 1e-30), evidence)

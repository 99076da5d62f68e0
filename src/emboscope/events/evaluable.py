"""Which frames can be judged, and why the others cannot."""

import numpy as np
from scipy.ndimage import binary_dilation, uniform_filter1d

from emboscope.events.analysis import Analysis, DetectorState
from emboscope.events.block import Block
from emboscope.events.settings import DetectionSettings
from emboscope.signal.quality import Interval, circularity, evaluable_frames

OK, DROPOUT, SATURATED, NO_FLOW = range(4)
REASONS = ("", "dropout", "saturated", "no flow")
SATURATED_S = 1.0  # clipping for so long cannot be judged
CLIP_GAP_S = 0.1  # between clips that belong together
LOSS_S = 1.0  # over which a loss of flow is judged


def recorded_frames(
    block: Block, clips: np.ndarray, sfreq: float, settings: DetectionSettings
) -> np.ndarray:
    """`DROPOUT`, `SATURATED` or `OK` of each frame, (n_frames,) of int."""
    live = evaluable_frames(block.samples, settings.window, settings.hop)
    codes = np.where(live, OK, DROPOUT)
    for start, stop in _long_runs(np.flatnonzero(clips), sfreq):
        first = max(0, (start - settings.window) // settings.hop + 1)
        codes[first : stop // settings.hop + 1] = SATURATED
    return codes


def _long_runs(clipped: np.ndarray, sfreq: float) -> list[tuple[int, int]]:
    """First and last sample of the stretches of clipping longer than `SATURATED_S`."""
    if clipped.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(clipped) > CLIP_GAP_S * sfreq)
    starts, stops = clipped[np.r_[0, breaks + 1]], clipped[np.r_[breaks, clipped.size - 1]]
    return [
        (int(start), int(stop))
        for start, stop in zip(starts, stops, strict=True)
        if stop - start > SATURATED_S * sfreq
    ]


def lost_flow(analysis: Analysis, level: float, settings: DetectionSettings) -> np.ndarray:
    """Frames in which the flow is gone: its power fell and its direction with it.

    Judged over `LOSS_S`: forward power `loss_db` under the level, and less than half of that over
    the reverse power; half of `LOSS_S` at both ends belongs to it. A poor window never has the
    direction, a turned-down gain keeps it.
    """
    width = max(1, round(LOSS_S / analysis.frame_s))

    def mean(power: np.ndarray) -> np.ndarray:
        return uniform_filter1d(power, width, mode="nearest")

    along, against = mean(analysis.forward), mean(analysis.reverse)
    fall, half = 10 ** (settings.loss_db / 10), 10 ** (settings.loss_db / 20)
    lost = (along < level / fall) & (along < half * against)
    return binary_dilation(lost, np.ones(width, bool)) if lost.any() else lost


def recorded_seconds(
    filtered: np.ndarray, codes: np.ndarray, sfreq: float, settings: DetectionSettings
) -> list[np.ndarray]:
    """The seconds of a block of whose frames most were recorded."""
    step = round(sfreq)
    seconds = []
    for first in range(0, filtered.size - step + 1, step):
        frames = codes[first // settings.hop : (first + step) // settings.hop]
        if frames.size and (frames == OK).mean() > 0.5:
            seconds.append(filtered[first : first + step])
    return seconds


def in_quadrature(seconds: list[np.ndarray], settings: DetectionSettings) -> bool:
    """Whether I and Q are a quadrature pair; a real signal (music, an ECG) on both is none.

    The median over seconds is judged, so that one loud tap, the same on both sides, does not
    decide; where no second is whole, nothing speaks against it.
    """
    if not seconds:
        return True
    return float(np.median([circularity(each) for each in seconds])) <= settings.circularity


def account(
    codes: np.ndarray, own: np.ndarray, times: np.ndarray, state: DetectorState, frame_s: float
) -> None:
    """Add the own frames of a block to the evaluable time and to the unusable stretches.

    Parameters
    ----------
    codes : ndarray of int, shape (n_frames,)
    own : ndarray of bool, shape (n_frames,)
        Frames that no other block counts.
    times : ndarray, shape (n_frames,)
        Centres of the frames in the recording, in seconds.
    state : DetectorState
        Changed in place.
    frame_s : float
    """
    state.evaluable_s += float((own & (codes == OK)).sum()) * frame_s
    frames = np.flatnonzero(own)
    for part in np.split(frames, np.flatnonzero(np.diff(codes[frames])) + 1):
        if part.size and codes[part[0]] != OK:
            start, stop = times[part[[0, -1]]] + (-frame_s / 2, frame_s / 2)
            reason = REASONS[int(codes[part[0]])]
            _extend(state.unusable, Interval(float(start), float(stop), reason), 2 * frame_s)


def _extend(known: list[Interval], new: Interval, gap_s: float) -> None:
    """Append a stretch, or lengthen the last where the new one goes on."""
    if known and known[-1].reason == new.reason and new.start_s - known[-1].stop_s <= gap_s:
        known[-1] = Interval(known[-1].start_s, new.stop_s, new.reason)
    else:
        known.append(new)

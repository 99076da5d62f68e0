"""Detection over a whole recording, block by block, in constant memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.events.hbr import (
    EDGE_S,
    Acquisition,
    Block,
    DetectionSettings,
    DetectorState,
    process_block,
)
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.signal.recording import Recording

Detector = Callable[[Block, Acquisition, DetectorState, DetectionSettings], list[Event]]

DETECTORS: Registry[Detector] = Registry("detector")
DETECTORS["hbr_recursive"] = process_block

SHORT_BACKGROUND_S = 10.0


@dataclass(frozen=True)
class Detection:
    """What was found in a recording.

    Attributes
    ----------
    events : tuple of Event
        In the order of their peaks.
    duration_s, evaluable_s : float
        Length of the recording, and of the part in which an event could have been found.
    flow_side : str or None
        `towards`, `away`, or None where it could not be told.
    flags : tuple of str
        What the reader should know: `short_background`, `no signal`, `no Doppler flow`.
    """

    events: tuple[Event, ...]
    duration_s: float
    evaluable_s: float
    flow_side: str | None
    flags: tuple[str, ...]


def blocks(
    read: Callable[[int, int], np.ndarray], n_times: int, sfreq: float, settings: DetectionSettings
) -> Iterator[Block]:
    """Cut a recording in blocks that overlap on both sides.

    Parameters
    ----------
    read : callable (start, stop) -> ndarray (stop - start,), complex
        Samples of a range.
    n_times : int
        Samples in all.
    """
    hop = settings.hop
    length = round(settings.block_s * sfreq) // hop * hop
    margin = round(settings.overlap_s * sfreq) // hop * hop
    starts = list(range(0, max(n_times - length // 2, 1), length))
    for start in starts:
        stop = n_times if start == starts[-1] else start + length
        first, last = max(0, start - margin), min(n_times, stop + margin)
        end_s = np.inf if stop == n_times else stop / sfreq
        yield Block(read(first, last), first / sfreq, start / sfreq, end_s)


def detect(
    read: Callable[[int, int], np.ndarray],
    n_times: int,
    acquisition: Acquisition,
    settings: DetectionSettings | None = None,
    detector: str = "hbr_recursive",
    progress: Progress = silent,
) -> Detection:
    """Find events in a signal that is read block by block.

    Parameters
    ----------
    read, n_times
        See `blocks`.
    acquisition : Acquisition
        Sampling and carrier frequency, angle, declared flow side.
    settings : DetectionSettings, optional
        One set of defaults serves all recordings.
    detector : str
        A name in `DETECTORS`.

    Raises
    ------
    DataError
        If the signal is shorter than a second or not finite.
    """
    settings = settings or DetectionSettings()
    find = DETECTORS[detector]
    duration = n_times / acquisition.sfreq
    if duration < 1:
        raise DataError(
            f"signal: {duration:.3f} s; expected at least 1 s, to know the flow. "
            "Give a longer recording."
        )
    state = DetectorState()
    events: list[Event] = []
    done = 0.0
    for block in blocks(read, n_times, acquisition.sfreq, settings):
        events += _new(find(block, acquisition, state, settings), events)
        done = min(block.to_s, duration)
        progress("scanning", round(done), round(duration))
    flags = ["short_background"] if duration < SHORT_BACKGROUND_S else []
    return Detection(
        events=tuple(sorted(events, key=lambda event: event.peak_s)),
        duration_s=duration,
        evaluable_s=min(state.evaluable_s, duration),
        flow_side=acquisition.flow or state.side,
        flags=(*flags, *sorted(state.reasons)),
    )


def _new(found: list[Event], known: list[Event]) -> list[Event]:
    """Events that the block before has not already reported at their common edge."""
    latest = [event.peak_s for event in known[-8:]]
    return [event for event in found if all(abs(event.peak_s - at) >= EDGE_S for at in latest)]


def detect_events(
    recording: Recording, settings: DetectionSettings | None = None, channel: int = 0
) -> list[Event]:
    """Events of one channel of a Doppler recording in memory.

    Raises
    ------
    DataError
        If the recording is not complex.
    """
    if not np.iscomplexobj(recording.samples):
        raise DataError(
            f"recording '{recording.name}': real samples; expected complex I/Q. "
            "Read it as a stereo I/Q file."
        )
    acquisition = Acquisition(
        recording.sfreq, recording.carrier_hz, recording.angle_deg, recording.sound_speed_m_s
    )
    signal = recording.samples[channel]
    return list(detect(lambda a, b: signal[a:b], signal.size, acquisition, settings).events)

"""Detection over a whole recording, block by block, in constant memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError
from emboscope.events.block import EDGE_S, Acquisition, Block
from emboscope.events.event import Event
from emboscope.events.hbr import DetectionSettings, DetectorState, process_block
from emboscope.events.statistics import (
    Statistic,
    cumulative_sum,
    energy_kurtosis,
    filter_bank,
    fixed_energy,
    hits_to_blood,
    two_pass_energy,
)
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.signal.recording import Recording

DETECTORS: Registry[Statistic] = Registry("detector")
DETECTORS["hbr_recursive"] = hits_to_blood
DETECTORS["energy"] = fixed_energy
DETECTORS["energy_two_pass"] = two_pass_energy
DETECTORS["cusum"] = cumulative_sum
DETECTORS["kurtosis"] = energy_kurtosis
DETECTORS["filter_bank"] = filter_bank

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


class StreamingDetector:
    """Finds events while samples arrive.

    Samples are gathered to the blocks of `DetectionSettings.block_s`; the events of a block are
    given once half of the next has arrived, so that they are those of the whole recording,
    however it was cut. Memory does not grow with time.

    Parameters
    ----------
    acquisition : Acquisition
        Sampling and carrier frequency, angle, declared flow side.
    settings : DetectionSettings, optional
        One set of defaults serves all recordings.
    detector : str
        A name in `DETECTORS`.

    Examples
    --------
    >>> import numpy as np
    >>> stream = StreamingDetector(Acquisition(sfreq=4385.0))
    >>> stream.push(np.zeros(43850, complex))
    []
    >>> stream.finish().flags
    ('no signal',)
    """

    def __init__(
        self,
        acquisition: Acquisition,
        settings: DetectionSettings | None = None,
        detector: str = "hbr_recursive",
    ) -> None:
        self.acquisition = acquisition
        self.settings = settings or DetectionSettings()
        self._statistic = DETECTORS[detector]
        self._state = DetectorState()
        self._events: list[Event] = []
        self._waiting: list[np.ndarray] = []
        self._first = 0  # sample at which what waits begins
        self._start = 0  # sample at which the next block begins
        self._received = 0
        hop, sfreq = self.settings.hop, acquisition.sfreq
        self._length = round(self.settings.block_s * sfreq) // hop * hop
        self._margin = round(self.settings.overlap_s * sfreq) // hop * hop
        self._need = self._length + max(self._length // 2 + 1, self._margin)

    def push(self, samples: np.ndarray) -> list[Event]:
        """Events that are certain now.

        Parameters
        ----------
        samples : ndarray, shape (n_times,), complex
            The next I + jQ, of any length.

        Raises
        ------
        DataError
            If a sample is not finite.
        """
        self._waiting.append(np.array(samples))
        self._received += samples.size
        found: list[Event] = []
        while self._received >= self._start + self._need:
            found += self._process(self._start + self._length, last=False)
        return found

    def finish(self) -> Detection:
        """All that was found, with the events of the last block.

        Raises
        ------
        DataError
            If less than a second was given.
        """
        duration = self._received / self.acquisition.sfreq
        if duration < 1:
            raise DataError(
                f"signal: {duration:.3f} s; expected at least 1 s, to know the flow. "
                "Give a longer recording."
            )
        if self._start < self._received:
            self._process(self._received, last=True)
            self._start = self._received
        flags = ["short_background"] if duration < SHORT_BACKGROUND_S else []
        return Detection(
            events=tuple(sorted(self._events, key=lambda event: event.peak_s)),
            duration_s=duration,
            evaluable_s=min(self._state.evaluable_s, duration),
            flow_side=self.acquisition.flow or self._state.side,
            flags=(*flags, *sorted(self._state.reasons)),
        )

    def _process(self, stop: int, last: bool) -> list[Event]:
        """New events of the block that ends at sample `stop`."""
        sfreq = self.acquisition.sfreq
        samples = np.concatenate(self._waiting)
        end = self._received if last else stop + self._margin
        block = Block(
            samples[: end - self._first],
            self._first / sfreq,
            self._start / sfreq,
            np.inf if last else stop / sfreq,
        )
        found = process_block(block, self.acquisition, self._state, self.settings, self._statistic)
        new = _new(found, self._events)
        self._events += new
        keep = max(0, stop - self._margin)
        self._waiting = [samples[keep - self._first :].copy()]
        self._first, self._start = keep, stop
        return new


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
        Samples of a range, as I + jQ; how many there are.
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
    stream = StreamingDetector(acquisition, settings, detector)
    step = round(stream.settings.block_s * acquisition.sfreq)
    for start in range(0, n_times, step):
        stop = min(start + step, n_times)
        stream.push(read(start, stop))
        progress("scanning", round(stop / acquisition.sfreq), round(n_times / acquisition.sfreq))
    return stream.finish()


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

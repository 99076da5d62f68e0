"""Detection while samples arrive, in constant memory."""

from collections import defaultdict
from dataclasses import asdict, dataclass

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.events.analysis import DetectorState, Envelope
from emboscope.events.background import Background
from emboscope.events.block import EDGE_S, Acquisition, Block
from emboscope.events.event import Event
from emboscope.events.hbr import Detector, process_block
from emboscope.events.settings import DetectionSettings
from emboscope.signal.quality import Interval

SHORT_BACKGROUND_S = 10.0
WHY_NOTHING = {"dropout": "no signal", "saturated": "saturated", "no flow": "no Doppler flow"}


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
        What the reader should know: `short_background`, `I/Q imbalance corrected`,
        `the flow aliases`; where nothing could be judged why: `no signal`, `saturated`,
        `no Doppler flow`.
    unusable : tuple of Interval
        Stretches that could not be judged, with the reason.
    envelope_hz : tuple of float, optional
        Mean, peak systolic and end-diastolic Doppler shift of the largest velocity.
    """

    events: tuple[Event, ...]
    duration_s: float
    evaluable_s: float
    flow_side: str | None
    flags: tuple[str, ...]
    unusable: tuple[Interval, ...] = ()
    envelope_hz: tuple[float, float, float] | None = None


class Stream:
    """What `detection.StreamingDetector` does, for any `Detector`.

    Samples are gathered to the blocks of `DetectionSettings.block_s`; the events of a block are
    given once half of the next has arrived, so that they are those of the whole recording,
    however it was cut. Memory does not grow with time.

    Parameters
    ----------
    acquisition : Acquisition
    settings : DetectionSettings
    detector : Detector
    """

    def __init__(
        self, acquisition: Acquisition, settings: DetectionSettings, detector: Detector
    ) -> None:
        _check(settings)
        self.acquisition = acquisition
        self.settings = settings
        self._detector = detector
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

    @property
    def position(self) -> int:
        """Sample from which to push on after `restore`."""
        return self._first

    def push(self, samples: np.ndarray) -> list[Event]:
        """Events that are certain now.

        Parameters
        ----------
        samples : ndarray, shape (n_times,) or (n_gates, n_times), complex
            The next I + jQ, of any length.

        Raises
        ------
        DataError
            If a sample is not finite, or the detector needs more gates.
        """
        n_gates = np.atleast_2d(samples).shape[0]
        if n_gates < self._detector.n_gates:
            raise DataError(
                f"signal: {n_gates} gate; expected {self._detector.n_gates} for this detector, as "
                "channels I1, Q1, I2, Q2. Choose another detector."
            )
        self._waiting.append(np.array(np.atleast_2d(samples)))
        self._received += samples.shape[-1]
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
            flags=(*flags, *sorted(self._state.reasons), *self._why_nothing()),
            unusable=tuple(self._state.unusable),
            envelope_hz=self._state.envelope.figures(),
        )

    def _why_nothing(self) -> list[str]:
        """Why no part of the recording could be judged; empty where some could."""
        if self._state.evaluable_s > 0 or not self._state.unusable:
            return []
        lost: defaultdict[str, float] = defaultdict(float)
        for each in self._state.unusable:
            lost[each.reason] += each.stop_s - each.start_s
        return [WHY_NOTHING[max(lost, key=lost.__getitem__)]]

    def save(self) -> dict:
        """All that is known, as plain values; samples are not kept: go on at `position`."""
        state = self._state
        return {
            "first": self._first,
            "start": self._start,
            "events": [asdict(event) for event in self._events],
            "side": state.side,
            "ask": state.ask,
            "backgrounds": {
                side: {**asdict(each), "shape": each.shape.tolist()}
                for side, each in state.backgrounds.items()
            },
            "first_levels": state.first_levels,
            "evaluable_s": state.evaluable_s,
            "reasons": sorted(state.reasons),
            "unusable": [asdict(each) for each in state.unusable],
            "envelope": [state.envelope.total_hz.tolist(), state.envelope.frames.tolist()],
        }

    def restore(self, saved: dict) -> None:
        """Go on where `save` was called; the next samples pushed are those from `position` on."""
        events = [
            Event(**{**each, "probabilities": tuple(each["probabilities"])})
            for each in saved["events"]
        ]
        state = DetectorState(
            side=saved["side"],
            ask=saved["ask"],
            backgrounds={
                side: Background(**{**each, "shape": np.array(each["shape"])})
                for side, each in saved["backgrounds"].items()
            },
            first_levels=saved["first_levels"],
            evaluable_s=saved["evaluable_s"],
            reasons=set(saved["reasons"]),
            unusable=[Interval(**each) for each in saved["unusable"]],
            envelope=Envelope(*(np.array(each) for each in saved["envelope"])),
        )
        first, start = int(saved["first"]), int(saved["start"])
        self._events, self._state, self._waiting = events, state, []
        self._first, self._received, self._start = first, first, start

    def _process(self, stop: int, last: bool) -> list[Event]:
        """New events of the block that ends at sample `stop`."""
        sfreq = self.acquisition.sfreq
        samples = np.concatenate(self._waiting, axis=1)
        end = self._received if last else stop + self._margin
        block = Block(
            samples[:, : end - self._first],
            self._first / sfreq,
            self._start / sfreq,
            np.inf if last else stop / sfreq,
        )
        found = process_block(block, self.acquisition, self._state, self.settings, self._detector)
        new = _new(found, self._events)
        self._events += new
        keep = max(0, stop - self._margin)
        self._waiting = [samples[:, keep - self._first :].copy()]
        self._first, self._start = keep, stop
        return new


def _check(settings: DetectionSettings) -> None:
    """Refuse lengths that do not fit each other."""
    if settings.hop > settings.window:
        raise SettingsError(
            f"hop {settings.hop} over window {settings.window}: samples would be left out. "
            "Expected a hop of at most the window."
        )
    if settings.overlap_s > settings.block_s / 2:
        raise SettingsError(
            f"overlap_s {settings.overlap_s:g}: expected at most half of block_s, "
            f"{settings.block_s:g}."
        )


def _new(found: list[Event], known: list[Event]) -> list[Event]:
    """Events that the block before has not already reported at their common edge."""
    latest = [event.peak_s for event in known[-8:]]
    return [event for event in found if all(abs(event.peak_s - at) >= EDGE_S for at in latest)]

"""A simulated recording, made block by block in constant memory."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from emboscope.errors import DataError
from emboscope.simulation.backdrop import Backdrop
from emboscope.simulation.course import Course, Flow, draw_course
from emboscope.simulation.device import Device, draw_lines
from emboscope.simulation.flow import CHUNK, HOP, WINDOW, Shaper, white_noise
from emboscope.simulation.gates import blood_correlation
from emboscope.simulation.patient import Patient, Session, draw_patient, draw_session, patient_rng
from emboscope.simulation.plan import Plan, draw_plan
from emboscope.simulation.rendering import Channel, Rendered, Scene, render
from emboscope.simulation.settings import SECOND_CARRIER_RATIO, SimulationSettings
from emboscope.simulation.truth import Draft, TrueEvent, judge

STEP = CHUNK * HOP  # samples that are made at once, whatever the blocks that are asked for


class SimulatedStream:
    """Recording of patient `index`; the same for the same settings, alone or among others.

    Events, beats and drifts are drawn at once; samples are made while the blocks are read. Reading
    again gives the same samples.

    Parameters
    ----------
    settings : SimulationSettings
    index : int

    Attributes
    ----------
    patient, session : Patient, Session
    plan : Plan
        All events, before they have samples.
    course : Course
        Velocity and level at any time.
    channels : tuple of Channel
    n_times : int

    Raises
    ------
    SettingsError
        For an unknown preset or indication, or options that exclude each other.
    """

    def __init__(self, settings: SimulationSettings, index: int) -> None:
        seed = settings.seed
        self.settings, self.index = settings, index
        self.patient: Patient = draw_patient(index, settings)
        self.session: Session = draw_session(self.patient, index, settings)
        self.n_times = round(settings.minutes * 60 * settings.sfreq)
        self.channels = _channels(settings)
        plan, spans = draw_plan(self.patient, self.session, settings, index)
        self.plan: Plan = plan
        self.course: Course = draw_course(
            self.patient,
            self.session,
            settings.minutes * 60,
            plan.moves_s,
            spans,
            patient_rng(seed, index, "course"),
        )
        self._events: tuple[TrueEvent, ...] | None = None

    @property
    def n_channels(self) -> int:
        """One, or two with a second gate or carrier."""
        return len(self.channels)

    @property
    def events(self) -> tuple[TrueEvent, ...]:
        """All events by time, once the last block has been read.

        Raises
        ------
        DataError
            Before that: which events were clipped is not known yet.
        """
        if self._events is None:
            raise DataError(
                "simulated events: asked for before the last block; expected all blocks to be "
                "read. Iterate to the end."
            )
        return self._events

    def blocks(self, n_times: int = STEP) -> Iterator[np.ndarray]:
        """Samples (n_channels, at most n_times), complex64, in fractions of full scale.

        Their concatenation does not depend on `n_times`.
        """
        rest = np.zeros((self.n_channels, 0), np.complex64)
        for chunk in self._chunks():
            rest = np.concatenate([rest, chunk], axis=1)
            whole = rest.shape[1] // n_times * n_times
            for start in range(0, whole, n_times):
                yield rest[:, start : start + n_times]
            rest = rest[:, whole:]
        if rest.shape[1]:
            yield rest

    def _chunks(self) -> Iterator[np.ndarray]:
        """Chunks of STEP samples, on a grid of their own."""
        sfreq, seed = self.settings.sfreq, self.settings.seed
        scene = Scene(
            self.session, self.course, self.channels, sfreq, self.n_times, seed, self.index
        )
        backdrop = self._backdrop()
        device = self._device()
        waiting = deque(sorted(self.plan.artifacts + self.plan.emboli, key=lambda e: e.start_s))
        active: list[Rendered] = []
        drafts: list[Draft] = []
        for first in range(0, self.n_times, STEP):
            samples = next(backdrop)
            while waiting and waiting[0].start_s * sfreq < first + STEP:
                active.append(render(waiting.popleft(), scene))
            for event in active:
                event.add_to(samples, first)
            recorded, clipped = device.record(samples, first)
            for event in active:
                event.mark(clipped, first)
            drafts += [event.draft() for event in active if event.last <= first + STEP]
            active = [event for event in active if event.last > first + STEP]
            yield recorded[:, : self.n_times - first]
        drafts += [event.draft() for event in active]
        self._events = judge(drafts, patient_rng(seed, self.index, "raters"))

    def _device(self) -> Device:
        settings = self.settings
        rng = patient_rng(settings.seed, self.index, "device")
        return Device(
            center=self.patient.center,
            offset=self.session.offset,
            lines=draw_lines(self.patient.center, self.session, rng),
            silent_s=self.plan.silent_s,
            limiter=settings.limiter,
            fault=settings.fault,
            sfreq=settings.sfreq,
        )

    def _backdrop(self) -> Iterator[np.ndarray]:
        """Blood, wall and noise of all channels, (n_channels, STEP), without end."""
        rng = patient_rng(self.settings.seed, self.index, "backdrop")
        sources = [
            Backdrop(self.patient, self.session, self.course, self.settings.sfreq, c.carrier_ratio)
            for c in self.channels
        ]
        flow = self._flow(np.arange(-1, 2))
        lead = self._white(WINDOW - HOP + Shaper.LEAD * HOP, rng)
        shapers = [
            Shaper(source.power(flow), white) for source, white in zip(sources, lead, strict=True)
        ]
        frames = np.arange(2, CHUNK + 2)
        while True:
            flow, white = self._flow(frames), self._white(STEP, rng)
            yield np.stack([
                shaper.push(source.power(flow), own)
                for shaper, source, own in zip(shapers, sources, white, strict=True)
            ])
            frames = frames + CHUNK

    def _flow(self, frames: np.ndarray) -> Flow:
        return self.course.at(frames * HOP / self.settings.sfreq)

    def _white(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """White noise of each channel; that of two gates is alike as far as they overlap."""
        noise = [white_noise(n, rng) for _ in self.channels]
        if self.channels[-1].second_gate:
            alike = np.float32(
                blood_correlation(self.session.gate_spacing_mm, self.session.sample_volume_mm)
            )
            noise[1] = alike * noise[0] + np.sqrt(1 - alike**2) * noise[1]
        return noise


def _channels(settings: SimulationSettings) -> tuple[Channel, ...]:
    if settings.gates == 2:
        return Channel("gate 1"), Channel("gate 2", second_gate=True)
    if settings.second_carrier:
        return Channel("2.0 MHz"), Channel("2.5 MHz", carrier_ratio=SECOND_CARRIER_RATIO)
    return (Channel("gate 1"),)

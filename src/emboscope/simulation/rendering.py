"""Planned events become samples, when their time has come."""

from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np

from emboscope.simulation.artifacts import scaled
from emboscope.simulation.course import Course
from emboscope.simulation.emboli import REACH_S, passage
from emboscope.simulation.gates import second_ratio_db
from emboscope.simulation.patient import Session, patient_rng
from emboscope.simulation.plan import PlannedArtifact, PlannedEmbolus
from emboscope.simulation.truth import Draft

FLOW_STEP = 16  # samples between which the flow around an embolus is interpolated


@dataclass(frozen=True)
class Channel:
    """One complex channel of the recording.

    Attributes
    ----------
    name : str
    carrier_ratio : float
        Its carrier over that of the first channel.
    second_gate : bool
    """

    name: str
    carrier_ratio: float = 1.0
    second_gate: bool = False


@dataclass(frozen=True)
class Scene:
    """What an event needs to know of the recording."""

    session: Session
    course: Course
    channels: tuple[Channel, ...]
    sfreq: float
    n_times: int
    seed: int
    index: int


@dataclass(frozen=True)
class Part:
    """Samples that belong into a channel from `first` on."""

    channel: int
    first: int
    samples: np.ndarray


@dataclass
class Rendered:
    """An event as samples, and what is true of it."""

    parts: list[Part]
    facts: dict[str, object] = field(default_factory=dict)
    saturated: bool = False

    @property
    def last(self) -> int:
        """End of its last sample."""
        return max((part.first + part.samples.size for part in self.parts), default=0)

    def add_to(self, chunk: np.ndarray, start: int) -> None:
        """Add what lies in a chunk that begins at sample `start`."""
        for part in self.parts:
            low = max(part.first, start)
            high = min(part.first + part.samples.size, start + chunk.shape[1])
            if low < high:
                inside = part.samples[low - part.first : high - part.first]
                chunk[part.channel, low - start : high - start] += inside

    def mark(self, clipped: np.ndarray, start: int) -> None:
        """Note whether it was clipped in a chunk."""
        for part in self.parts:
            inside = clipped[
                max(part.first - start, 0) : max(part.first + part.samples.size - start, 0)
            ]
            self.saturated |= bool(inside.any())

    def draft(self) -> Draft:
        """What the raters are shown."""
        return Draft(**self.facts, saturated=self.saturated)  # type: ignore[arg-type]


@singledispatch
def render(planned: object, scene: Scene) -> Rendered:
    """Samples of a planned event in all channels."""
    raise TypeError(f"{type(planned).__name__}: not an event")


@render.register
def _artifact(planned: PlannedArtifact, scene: Scene) -> Rendered:
    rng = patient_rng(scene.seed, scene.index, "artifact", planned.number)
    first = round(planned.onset_s * scene.sfreq)
    flow = scene.course.at(np.array([planned.onset_s]))
    waveform = planned.kind.make(scene.sfreq, planned.duration_s, rng)
    signal = scaled(waveform, planned.level_db)[: scene.n_times - first]
    signal = (signal * flow.level[0]).astype(np.complex64)
    shift = round(planned.delay_s * scene.sfreq)
    parts = [
        Part(place, max(first + shift * channel.second_gate, 0), signal)
        for place, channel in enumerate(scene.channels)
    ]
    spectrum = np.abs(np.fft.fft(signal))
    frequency = np.fft.fftfreq(signal.size, 1 / scene.sfreq)[np.argmax(spectrum)]
    two = any(channel.second_gate for channel in scene.channels)
    facts: dict[str, object] = {
        "onset_s": first / scene.sfreq,
        "duration_s": signal.size / scene.sfreq,
        "peak_s": (first + int(np.argmax(np.abs(signal)))) / scene.sfreq,
        "label": "artifact",
        "ebr_db": planned.level_db,
        "frequency_hz": float(frequency),
        "kind": planned.name,
        "delay_ms": 1000 * planned.delay_s if two else None,
        "second_ebr_db": planned.level_db if scene.channels[-1].carrier_ratio != 1 else None,
    }
    return Rendered(parts, facts)


@render.register
def _embolus(planned: PlannedEmbolus, scene: Scene) -> Rendered:
    rng = patient_rng(scene.seed, scene.index, "embolus", planned.number)
    embolus, peak = planned.embolus, np.array([planned.peak_s])
    start, largest_hz = _flow_around(planned.peak_s, scene)
    flow, hz_per_cm_s = scene.course.at(peak), float(scene.course.hz_per_cm_s(peak)[0])
    velocity = embolus.velocity_ratio * float(flow.largest_hz[0]) / hz_per_cm_s
    delay_s = planned.sighting.delay_s(scene.session.gate_spacing_mm, velocity)
    facts: dict[str, object] = {
        "peak_s": planned.peak_s,
        "label": embolus.label,
        "ebr_db": embolus.ebr_db,
        "kind": embolus.fm_type,
        "delay_ms": None,
        "second_ebr_db": None,
    }
    parts = []
    for place, channel in enumerate(scene.channels):
        if channel.second_gate and not planned.sighting.seen:
            continue
        crossing = passage(
            embolus,
            planned.peak_s - start / scene.sfreq + delay_s * channel.second_gate,
            channel.carrier_ratio * largest_hz,
            channel.carrier_ratio * hz_per_cm_s,
            scene.session.sample_volume_mm,
            scene.sfreq,
            rng,
        )
        shift_db = second_ratio_db(embolus.label, channel.carrier_ratio)
        size = float(flow.amplitude[0]) * 10 ** (shift_db / 20)
        samples = (size * crossing.samples).astype(np.complex64)
        parts.append(Part(place, start + crossing.first, samples))
        if place == 0:
            facts["onset_s"] = start / scene.sfreq + crossing.onset_s
            facts["duration_s"] = crossing.duration_s
            facts["frequency_hz"] = crossing.frequency_hz
        elif channel.second_gate:
            facts["delay_ms"] = 1000 * delay_s
        else:
            facts["second_ebr_db"] = embolus.ebr_db + shift_db
    return Rendered(parts, facts)


def _flow_around(peak_s: float, scene: Scene) -> tuple[int, np.ndarray]:
    """First sample, and Doppler frequency of the largest velocity at each sample around a time."""
    reach = round((REACH_S + 0.1) * scene.sfreq)
    center = round(peak_s * scene.sfreq)
    start, stop = max(center - reach, 0), min(center + reach, scene.n_times)
    coarse = np.arange(start, stop + FLOW_STEP, FLOW_STEP)
    flow = scene.course.at(coarse / scene.sfreq)
    return start, np.interp(np.arange(start, stop), coarse, flow.largest_hz)

"""A simulated recording and the truth about it.

z = ADC(IQ error(blood + clutter + emboli + artifacts + noise)).
"""

from dataclasses import dataclass

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from emboscope.errors import SettingsError
from emboscope.settings import Settings
from emboscope.signal.recording import Recording
from emboscope.simulation.artifacts import artifact_kinds, draw_artifact
from emboscope.simulation.emboli import Embolus, draw_embolus, passage
from emboscope.simulation.flow import (
    HOP,
    WINDOW,
    flow_spectrum,
    gaussian_process,
    spectral_template,
    velocity_over_time,
)
from emboscope.simulation.patient import N_CENTERS, Patient, draw_center, draw_patient
from emboscope.simulation.raters import LABELS, rate_events, soft_labels

PRESETS = ("ambulatory", "clinic", "blood")


class SimulationSettings(Settings):
    """What is simulated."""

    n_patients: PositiveInt = 12
    minutes: PositiveFloat = 10.0
    preset: str = "ambulatory"
    sfreq: float = Field(default=4385.0, ge=2000, le=10000)
    carrier_hz: PositiveFloat | None = None  # None: 1.5 and 2 MHz by centre
    rate_factor: NonNegativeFloat = 10.0  # of the embolus rates of carotid and stroke patients
    seed: int = 0


@dataclass(frozen=True)
class TrueEvent:
    """An embolus or artifact that was put in, in the terms of the truth sidecar."""

    onset_s: float
    duration_s: float
    peak_s: float
    label: str
    p_artifact: float
    p_gaseous: float
    p_solid: float
    raters: tuple[str, ...]
    ebr_db: float
    hbr_db: float
    frequency_hz: float
    fm_type: str
    artifact_type: str
    saturated: bool


@dataclass(frozen=True)
class SimulatedRecording:
    """A recording, its patient, and all events in it, ordered by time."""

    recording: Recording
    patient: Patient
    events: tuple[TrueEvent, ...]


@dataclass(frozen=True)
class _Draft:
    """An event before the raters have seen it."""

    onset_s: float
    duration_s: float
    peak_s: float
    label: str
    level_db: float
    frequency_hz: float
    kind: str
    first: int
    last: int


@dataclass
class _Scene:
    """The signal as it is composed, and what the flow does meanwhile."""

    samples: np.ndarray
    amplitude: np.ndarray  # of the blood, at every sample
    largest_hz: np.ndarray  # Doppler shift of the largest velocity, at every sample
    sfreq: float
    drafts: list[_Draft]


def patient_rng(seed: int, index: int, what: str) -> np.random.Generator:
    """Random numbers of one patient for one purpose, whatever else is simulated."""
    return np.random.default_rng([seed, index, *what.encode()])


def simulate(settings: SimulationSettings, index: int) -> SimulatedRecording:
    """Recording of patient `index`; the same for the same settings, alone or among others.

    Raises
    ------
    SettingsError
        For an unknown preset.
    """
    if settings.preset not in PRESETS:
        raise SettingsError(f"preset '{settings.preset}': unknown; expected {', '.join(PRESETS)}.")
    place = index % N_CENTERS
    center = draw_center(place, patient_rng(settings.seed, place, "center"), settings.carrier_hz)
    patient = draw_patient(
        index,
        center,
        patient_rng(settings.seed, index, "patient"),
        settings.preset,
        settings.rate_factor,
    )
    scene = _flow(patient, settings, patient_rng(settings.seed, index, "flow"))
    _add_emboli(scene, patient, patient_rng(settings.seed, index, "emboli"))
    _add_artifacts(scene, patient, patient_rng(settings.seed, index, "artifacts"))
    clipped = _acquire(scene, patient, patient_rng(settings.seed, index, "device"))
    recording = Recording(
        samples=scene.samples[None].astype(np.complex64),
        sfreq=settings.sfreq,
        channels=("gate 1",),
        unit="full scale",
        subject_id=patient.subject_id,
        carrier_hz=center.carrier_hz,
        angle_deg=patient.angle_deg,
        name=patient.subject_id,
    )
    events = _judge(scene, clipped, patient_rng(settings.seed, index, "raters"))
    return SimulatedRecording(recording, patient, events)


def _flow(patient: Patient, settings: SimulationSettings, rng: np.random.Generator) -> _Scene:
    """Blood, wall, another vessel and noise."""
    sfreq, n_times = settings.sfreq, round(settings.minutes * 60 * settings.sfreq)
    n_frames = n_times // HOP + WINDOW // HOP
    times = np.arange(n_frames) * HOP / sfreq
    velocity, phase = velocity_over_time(patient.heart, times, rng)
    largest = velocity * _hz_per_cm_s(patient)
    template = spectral_template(patient.profile_exponent, patient.broadening)
    level = _level(patient, times, phase, rng)
    blood = gaussian_process(
        lambda a, b: flow_spectrum(template, largest[a:b], sfreq), n_times, rng
    )
    at = np.arange(n_times) / HOP
    grid = np.arange(n_frames)
    amplitude = np.interp(at, grid, level)
    samples = blood * amplitude
    if patient.other_vessel_db is not None:
        other = gaussian_process(
            lambda a, b: flow_spectrum(template, -0.8 * largest[a:b], sfreq), n_times, rng
        )
        samples += other * amplitude * 10 ** (patient.other_vessel_db / 20)
    samples += _clutter(patient, phase, n_times, sfreq, rng) * amplitude
    occupied = min(1.0, float(np.mean(largest)) / sfreq)
    noise = amplitude.mean() * 10 ** (-patient.snr_db / 20) / np.sqrt(occupied)
    samples += noise / np.sqrt(2) * (rng.standard_normal((n_times, 2)) @ (1, 1j))
    return _Scene(samples, amplitude, np.interp(at, grid, largest), sfreq, [])


def _hz_per_cm_s(patient: Patient) -> float:
    cosine = np.cos(np.deg2rad(patient.angle_deg))
    return float(2 * patient.center.carrier_hz * cosine / 154000.0)


def _level(
    patient: Patient, times: np.ndarray, phase: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Amplitude of the blood: ±1.5 dB over the cycle, slow drift, now and then a step."""
    level = patient.level_db + 1.5 * np.sin(2 * np.pi * phase)
    level = level + rng.uniform(0, 3) * np.sin(2 * np.pi * times / rng.uniform(300, 1200))
    for _ in range(rng.poisson(rng.uniform(0, 3) * times[-1] / 3600)):
        level = level + np.where(times > rng.uniform(0, times[-1]), rng.uniform(-6, 6), 0.0)
    return 10 ** (level / 20)


def _clutter(
    patient: Patient, phase: np.ndarray, n_times: int, sfreq: float, rng: np.random.Generator
) -> np.ndarray:
    """Wall motion near 0 Hz, relative to the blood, and a thump at each systole."""
    freqs = np.abs(np.fft.fftfreq(WINDOW, 1 / sfreq))
    shape = np.exp(-((2 * freqs / patient.clutter_hz) ** 2)) / (1 + (freqs / 10) ** 2)
    shape = shape / shape.sum()
    beat = 0.7 + 0.3 * np.cos(2 * np.pi * (phase - 0.1))

    def wall(first: int, last: int) -> np.ndarray:
        return shape * beat[first:last, None] ** 2

    clutter = 10 ** (patient.clutter_db / 20) * gaussian_process(wall, n_times, rng)
    if patient.thump_db is None:
        return clutter
    low = np.exp(-((freqs / 90) ** 2))
    low = low / low.sum()
    burst = np.exp(-(((phase - 0.1) / 0.02) ** 2))

    def thump(first: int, last: int) -> np.ndarray:
        return low * burst[first:last, None]

    return clutter + 10 ** (patient.thump_db / 20) * gaussian_process(thump, n_times, rng)


def _arrivals(rate_h: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Times of a Poisson process, a second away from both ends."""
    n = rng.poisson(rate_h * duration_s / 3600)
    return np.sort(rng.uniform(1.0, max(duration_s - 1.0, 1.0), n))


def _add_emboli(scene: _Scene, patient: Patient, rng: np.random.Generator) -> None:
    duration_s = scene.samples.size / scene.sfreq
    for peak_s in _arrivals(patient.embolus_rate_h, duration_s, rng):
        label = "gaseous" if rng.random() < patient.gas_share else "solid"
        embolus = draw_embolus(label, patient.ebr_offset_db, rng)
        _insert(scene, embolus, peak_s, patient, rng)
    if patient.gas_share > 0.5 and rng.random() < 0.3 * min(1.0, patient.embolus_rate_h):
        start = rng.uniform(5, max(duration_s - 10, 5))
        for peak_s in start + np.sort(rng.uniform(0, 5, rng.integers(3, 8))):
            embolus = draw_embolus("gaseous", patient.ebr_offset_db, rng)
            _insert(scene, embolus, peak_s, patient, rng)


def _insert(
    scene: _Scene, embolus: Embolus, peak_s: float, patient: Patient, rng: np.random.Generator
) -> None:
    """Add one embolus, of the strength that the blood around it sets."""
    crossing = passage(
        embolus,
        peak_s,
        scene.largest_hz,
        _hz_per_cm_s(patient),
        patient.sample_volume_mm,
        scene.sfreq,
        rng,
    )
    where = slice(crossing.first, crossing.first + crossing.samples.size)
    center = min(round(peak_s * scene.sfreq), scene.amplitude.size - 1)
    scene.samples[where] += crossing.samples * scene.amplitude[center]
    scene.drafts.append(
        _Draft(
            crossing.onset_s,
            crossing.duration_s,
            float(peak_s),
            embolus.label,
            embolus.ebr_db,
            crossing.frequency_hz,
            embolus.fm_type,
            where.start,
            where.stop,
        )
    )


def _add_artifacts(scene: _Scene, patient: Patient, rng: np.random.Generator) -> None:
    kinds = artifact_kinds(patient.voice_hz)
    duration_s = scene.samples.size / scene.sfreq
    for name, kind in kinds.items():
        for onset_s in _arrivals(patient.artifact_rates_h[name], duration_s, rng):
            signal, level, _ = draw_artifact(kind, scene.sfreq, rng)
            first = round(onset_s * scene.sfreq)
            last = min(first + signal.size, scene.samples.size)
            scene.samples[first:last] += signal[: last - first] * scene.amplitude[first]
            peak = first + int(np.argmax(np.abs(signal[: last - first])))
            spectrum = np.abs(np.fft.fft(signal))
            frequency = np.fft.fftfreq(signal.size, 1 / scene.sfreq)[np.argmax(spectrum)]
            scene.drafts.append(
                _Draft(
                    onset_s,
                    (last - first) / scene.sfreq,
                    peak / scene.sfreq,
                    "artifact",
                    level,
                    float(frequency),
                    name,
                    first,
                    last,
                )
            )


def _acquire(scene: _Scene, patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """Errors of the device, in place; which samples were clipped."""
    center, n_times = patient.center, scene.samples.size
    times = np.arange(n_times) / scene.sfreq
    mains = 10 ** ((patient.level_db + rng.uniform(-35, -20)) / 20)
    scene.samples += mains * np.cos(2 * np.pi * center.mains_hz * times)
    signal = scene.samples.real + 0.0
    gain = 10 ** (center.iq_gain_db / 20)
    turn = np.deg2rad(center.iq_phase_deg)
    quadrature = gain * (scene.samples.imag * np.cos(turn) + signal * np.sin(turn))
    scene.samples = signal + 1j * quadrature + rng.uniform(-0.02, 0.02) * (1 + 1j)
    for start in _arrivals(patient.dropouts_h, n_times / scene.sfreq, rng):
        length = np.exp(rng.uniform(np.log(0.05), np.log(20)))
        scene.samples[round(start * scene.sfreq) : round((start + length) * scene.sfreq)] = 0
    limit = 2.0 ** (center.adc_bits - 1)

    def convert(channel: np.ndarray) -> np.ndarray:
        return np.clip(np.round(channel * limit), -limit, limit - 1) / limit

    over = (np.abs(scene.samples.real) >= 1) | (np.abs(scene.samples.imag) >= 1)
    scene.samples = convert(scene.samples.real) + 1j * convert(scene.samples.imag)
    return over


def _judge(scene: _Scene, clipped: np.ndarray, rng: np.random.Generator) -> tuple[TrueEvent, ...]:
    """The events in order, each seen by the raters."""
    drafts = sorted(scene.drafts, key=lambda draft: draft.peak_s)
    if not drafts:
        return ()
    votes = rate_events(np.array([LABELS.index(draft.label) for draft in drafts]), rng)
    events = []
    for draft, own, soft in zip(drafts, votes, soft_labels(votes), strict=True):
        is_artifact = draft.label == "artifact"
        events.append(
            TrueEvent(
                onset_s=draft.onset_s,
                duration_s=draft.duration_s,
                peak_s=draft.peak_s,
                label=draft.label,
                p_artifact=float(soft[0]),
                p_gaseous=float(soft[1]),
                p_solid=float(soft[2]),
                raters=tuple(LABELS[vote] for vote in own),
                ebr_db=draft.level_db,
                hbr_db=float(10 * np.log10(1 + 10 ** (draft.level_db / 10))),
                frequency_hz=draft.frequency_hz,
                fm_type="" if is_artifact else draft.kind,
                artifact_type=draft.kind if is_artifact else "",
                saturated=bool(clipped[draft.first : draft.last].any()),
            )
        )
    return tuple(events)

"""The course of a session: velocity, angle and strength of the flow at any time."""

from dataclasses import dataclass

import numpy as np

from emboscope.simulation.disturbances import Disturbances, Steps
from emboscope.simulation.heart import Beats, Heart, beat_shape, draw_beats, mean_shape
from emboscope.simulation.patient import Patient, Session

SOUND_SPEED_CM_S = 154000.0
GAIN_FADE_S = 20.0  # of an automatic gain
AIM_FADE_S = 120.0  # within which a robot, or a hand, finds the vessel again


@dataclass(frozen=True)
class Wave:
    """A slow sine."""

    size: float
    rate_hz: float
    offset: float

    def at(self, times: np.ndarray) -> np.ndarray:
        """Value at each time."""
        return self.size * np.sin(2 * np.pi * self.rate_hz * times + self.offset)


@dataclass(frozen=True)
class Flow:
    """What the flow does at some times.

    Attributes
    ----------
    phase : ndarray, shape (n,)
        Of the beat, in [0, 1).
    largest_hz : ndarray, shape (n,)
        Doppler frequency of the largest velocity.
    level : ndarray, shape (n,)
        Amplitude of the blood with good contact, in fractions of full scale.
    gain : ndarray, shape (n,)
        Amplification of all that is received, 1 at first.
    contact : ndarray, shape (n,)
        Amplitude of blood, wall and emboli over that with good contact.
    """

    phase: np.ndarray
    largest_hz: np.ndarray
    level: np.ndarray
    gain: np.ndarray
    contact: np.ndarray

    @property
    def amplitude(self) -> np.ndarray:
        """Of the blood as it is received."""
        return self.level * self.contact


@dataclass(frozen=True)
class Course:
    """Functions of time that are drawn before any sample is.

    Attributes
    ----------
    carrier_hz, angle_deg, level_db : float
        At the start.
    heart, beats : Heart, Beats
    velocity_waves : tuple of Wave
        Breathing and slow waves, relative.
    angle_wave, level_wave : Wave
        Slow drift, in degrees and dB.
    angle_steps, contact_steps, gain_steps : Steps
        Of a probe that is set anew, and of the gain; in degrees, dB and dB.
    disturbances : Disturbances
    """

    carrier_hz: float
    angle_deg: float
    level_db: float
    heart: Heart
    beats: Beats
    velocity_waves: tuple[Wave, ...]
    angle_wave: Wave
    level_wave: Wave
    angle_steps: Steps
    contact_steps: Steps
    gain_steps: Steps
    disturbances: Disturbances

    def velocity(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Largest velocity in the vessel, in cm/s, and phase of the beat; times ascend."""
        phase, strength = self.beats.at(times)
        swing = self.heart.pulsatility * self.heart.mean_cm_s * strength
        velocity = self.heart.mean_cm_s + swing * (beat_shape(phase) - mean_shape())
        for wave in self.velocity_waves:
            velocity = velocity * (1 + wave.at(times))
        return np.maximum(velocity, 3.0), phase

    def hz_per_cm_s(self, times: np.ndarray) -> np.ndarray:
        """Doppler shift of 1 cm/s."""
        angle = self.angle_deg + self.angle_wave.at(times) + self.angle_steps.at(times)
        cosine = np.cos(np.deg2rad(np.clip(np.abs(angle), 0, 50)))
        return 2 * self.carrier_hz * cosine / SOUND_SPEED_CM_S

    def at(self, times: np.ndarray) -> Flow:
        """Everything, at ascending times in seconds."""
        velocity, phase = self.velocity(times)
        contact, change = self.disturbances.at(times)
        gain = 10 ** (self.gain_steps.at(times) / 20)
        drift = self.level_wave.at(times) + self.contact_steps.at(times)
        level_db = self.level_db + drift + 1.5 * np.sin(2 * np.pi * phase)
        return Flow(
            phase=phase,
            largest_hz=velocity * change * self.hz_per_cm_s(times),
            level=10 ** (level_db / 20) * gain,
            gain=gain,
            contact=contact,
        )


def draw_course(
    patient: Patient,
    session: Session,
    duration_s: float,
    moves_s: np.ndarray,
    spans: Disturbances,
    rng: np.random.Generator,
) -> Course:
    """Draw the course of a session.

    Parameters
    ----------
    moves_s : ndarray, shape (n,)
        When the probe or its gate moves; less than half of the moves change the level and the
        angle, as three of them an hour at most do.
    spans : Disturbances
    """
    fade = GAIN_FADE_S if patient.center.automatic_gain else np.inf
    kept = moves_s[rng.random(moves_s.size) < 0.4]
    n_gains = rng.poisson(rng.uniform(0, 1.5) * duration_s / 3600)
    gains = Steps(np.sort(rng.uniform(0, duration_s, n_gains)), rng.uniform(-6, 6, n_gains), fade)
    return Course(
        carrier_hz=patient.center.carrier_hz,
        angle_deg=session.angle_deg,
        level_db=session.level_db,
        heart=patient.heart,
        beats=draw_beats(patient.heart, duration_s, rng),
        velocity_waves=(_wave(0.02, 0.06, 3.3, 5, rng), _wave(0.03, 0.08, 7, 20, rng)),
        angle_wave=_wave(2, 5, 900, 1800, rng),
        level_wave=_wave(0, 3, 300, 1200, rng),
        angle_steps=Steps(kept, rng.uniform(-5, 5, kept.size), AIM_FADE_S),
        contact_steps=Steps(kept, rng.uniform(-6, 6, kept.size), min(fade, AIM_FADE_S)),
        gain_steps=gains,
        disturbances=spans,
    )


def _wave(
    least: float, most: float, shortest_s: float, longest_s: float, rng: np.random.Generator
) -> Wave:
    return Wave(
        float(rng.uniform(least, most)),
        float(1 / rng.uniform(shortest_s, longest_s)),
        float(rng.uniform(0, 2 * np.pi)),
    )

"""Who is examined, where and how: the draws of a center, a patient and a session.

Every number is of the tables of the simulator's specification; docs/simulator.md lists those that
are our choice.
"""

from dataclasses import dataclass

import numpy as np

from emboscope.simulation.groups import INDICATIONS
from emboscope.simulation.heart import Heart
from emboscope.simulation.settings import (
    FIRST_CARRIER_HZ,
    PRESETS,
    SimulationSettings,
    check_settings,
)

SIMULATOR_VERSION = 2
N_CENTERS = 3

# artifacts an hour of an ambulatory patient who is awake, in the mean
ARTIFACT_RATES = {"tap": 10.0, "motion": 22.0, "speech": 28.0, "blink": 22.0, "cough": 4.0,
                  "step": 4.0}  # fmt: skip
LARGEST_RAISED_H = 360.0  # emboli an hour that `rate_factor` makes at most: one in 10 s
HARD_SHARE = 0.10  # of all artifacts
LOUDEST_WALL_DB = -16.0  # of full scale: the wall alone does not overload the converter
SHARED_SPREAD, OWN_SPREAD = 0.75, 0.50  # ln: of all kinds together and of one; 0.9 in the whole


@dataclass(frozen=True)
class Center:
    """The device and the habits of one hospital."""

    name: str
    carrier_hz: float
    automatic_gain: bool
    adc_bits: int
    mains_hz: float
    iq_gain_db: float
    iq_phase_deg: float
    angle_sd_deg: float
    sample_volumes_mm: tuple[float, ...]
    case_mix: dict[str, float]


@dataclass(frozen=True)
class Patient:
    """What one patient brings to every session."""

    subject_id: str
    center: Center
    age: float
    indication: str
    heart: Heart
    profile_exponent: float
    broadening: float
    snr_db: float
    embolus_rate_h: float
    ebr_offset_db: float
    fm_propensity: float
    artifact_rates_h: dict[str, float]
    voice_hz: float


@dataclass(frozen=True)
class Session:
    """How the probe stands on one day."""

    angle_deg: float
    sample_volume_mm: float
    depth_mm: float
    gate_spacing_mm: float
    level_db: float
    clutter_db: float
    clutter_hz: float
    thump_db: float | None
    other_vessel_db: float | None
    curvature_per_mm: float
    dropouts_h: float
    mains_db: float
    offset: tuple[float, float]
    start_hour: float


def patient_rng(seed: int, index: int, what: str, number: int = 0) -> np.random.Generator:
    """Random numbers of one patient for one purpose, whatever else is simulated."""
    return np.random.default_rng([seed, index, number, *what.encode()])


def draw_center(index: int, settings: SimulationSettings) -> Center:
    """Device, habits and case mix of a center; the same for all its patients."""
    rng = patient_rng(settings.seed, index, "center")
    own = FIRST_CARRIER_HZ if settings.second_carrier else (1.5e6, 2.0e6)[index % 2]
    shares = rng.dirichlet([30 * each.share for each in INDICATIONS.values()])
    return Center(
        name=f"center-{index + 1}",
        carrier_hz=settings.carrier_hz or own,
        automatic_gain=bool(rng.random() < 0.5),
        adc_bits=int(rng.choice([12, 16, 16, 24])),
        mains_hz=float(rng.choice([50.0, 60.0], p=[0.75, 0.25])),
        iq_gain_db=float(rng.uniform(0.05, 0.5)),
        iq_phase_deg=float(rng.uniform(0.2, 2.0)),
        angle_sd_deg=float(rng.uniform(10, 18)),
        sample_volumes_mm=tuple(rng.choice([5.0, 8.0, 10.0, 13.0], 2, replace=False).tolist()),
        case_mix=dict(zip(INDICATIONS, shares.tolist(), strict=True)),
    )


def draw_patient(index: int, settings: SimulationSettings) -> Patient:
    """Patient `index`, of the center that its index gives."""
    check_settings(settings)
    center = draw_center(index % N_CENTERS, settings)
    rng = patient_rng(settings.seed, index, "patient")
    mixed = str(rng.choice(list(center.case_mix), p=list(center.case_mix.values())))
    indication = settings.indication or mixed
    age = float(rng.uniform(35, 85))
    poor = rng.random() < 0.12
    return Patient(
        subject_id=f"sim-{index + 1:03d}",
        center=center,
        age=age,
        indication=indication if PRESETS[settings.preset].emboli else "none",
        heart=_draw_heart(age, rng),
        profile_exponent=float(rng.uniform(2.5, 8)),
        broadening=float(rng.uniform(0.03, 0.10)),
        snr_db=float(rng.uniform(0, 8) if poor else rng.uniform(5, 25)),
        embolus_rate_h=_embolus_rate(indication, settings, rng),
        ebr_offset_db=float(rng.normal(0, 2)),
        fm_propensity=float(rng.lognormal(0, 0.3)),
        artifact_rates_h=_artifact_rates(indication, PRESETS[settings.preset].artifacts, rng),
        voice_hz=float(rng.uniform(90, 300)),
    )


def _draw_heart(age: float, rng: np.random.Generator) -> Heart:
    """Velocity by age (Ringelstein 1987), pulsatility that rises with it, atrial fibrillation."""
    mean = rng.normal(*((58.4, 8.4) if age < 40 else (44.7, 11.1) if age > 60 else (52.0, 10.0)))
    fibrillation = rng.random() < 0.15
    return Heart(
        mean_cm_s=float(np.clip(mean, 28, 80)),
        pulsatility=float(np.clip(rng.normal(0.85 + 0.004 * (age - 60), 0.17), 0.5, 1.6)),
        rate_bpm=float(np.clip(rng.normal(68, 11), 45, 120)),
        variation=float(rng.uniform(0.15, 0.25) if fibrillation else rng.uniform(0.02, 0.05)),
    )


def _embolus_rate(indication: str, settings: SimulationSettings, rng: np.random.Generator) -> float:
    """The rate of the group times `rate_factor`, which raises none over `LARGEST_RAISED_H`."""
    rate = INDICATIONS[indication].rate(rng)
    if not PRESETS[settings.preset].emboli:
        return 0.0
    return float(min(rate * settings.rate_factor, max(rate, LARGEST_RAISED_H)))


def _artifact_rates(indication: str, amount: float, rng: np.random.Generator) -> dict[str, float]:
    """Log-normal rates: a patient makes more or less of all kinds, and has kinds of its own."""
    shared = rng.normal(0, SHARED_SPREAD)
    mean = (SHARED_SPREAD**2 + OWN_SPREAD**2) / 2
    rates = {
        name: float(amount * rate * np.exp(shared + rng.normal(0, OWN_SPREAD) - mean))
        for name, rate in ARTIFACT_RATES.items()
    }
    rates["hard"] = sum(rates.values()) * HARD_SHARE / (1 - HARD_SHARE)
    rates["diathermy"] = amount * INDICATIONS[indication].diathermy_h
    return rates


def draw_session(patient: Patient, index: int, settings: SimulationSettings) -> Session:
    """The one session of a patient."""
    rng = patient_rng(settings.seed, index, "session")
    center = patient.center
    level = float(rng.uniform(-40, -20))
    wall_db = max(5.0, min(35.0, LOUDEST_WALL_DB - level))
    return Session(
        angle_deg=float(min(abs(rng.normal(0, center.angle_sd_deg)), 45.0)),
        sample_volume_mm=float(rng.choice(center.sample_volumes_mm)),
        depth_mm=float(rng.uniform(45, 58)),
        gate_spacing_mm=float(rng.uniform(5, 10)),
        level_db=level,
        clutter_db=float(rng.uniform(min(10.0, wall_db), wall_db)),
        clutter_hz=float(rng.uniform(40, 150)),
        thump_db=float(rng.uniform(0, 20)) if rng.random() < 0.2 else None,
        other_vessel_db=float(rng.uniform(-20, -6)) if rng.random() < 0.15 else None,
        curvature_per_mm=float(np.clip(rng.normal(0, 0.005), -0.01, 0.01)),
        dropouts_h=float(rng.uniform(*PRESETS[settings.preset].dropouts_h)),
        mains_db=float(rng.uniform(-35, -10)),
        offset=(float(rng.uniform(-0.02, 0.02)), float(rng.uniform(-0.02, 0.02))),
        start_hour=float(rng.uniform(8, 18)),
    )

"""Who is examined, and with what: the draws of a centre, a patient and a session.

Every number is of the tables of the simulator's specification (version `SIMULATOR_VERSION`).
"""

from dataclasses import dataclass

import numpy as np

from emboscope.simulation.flow import Heart

SIMULATOR_VERSION = 1
N_CENTERS = 3

# indication: (share of patients, emboli an hour among the embolizing, share that embolize,
#              share of gas among the emboli)
INDICATIONS = {
    "carotid": (0.40, 6.0, 0.85, 0.02),
    "valve": (0.25, 60.0, 0.89, 0.97),
    "surgery": (0.20, 90.0, 0.95, 0.70),
    "stroke": (0.05, 6.0, 0.30, 0.05),
    "none": (0.10, 0.0, 0.0, 0.0),
}
# artifacts an hour at rest, and whether an ambulatory patient makes all of them
ARTIFACT_RATES = {"tap": 8.0, "motion": 20.0, "speech": 30.0, "blink": 20.0, "cough": 3.0,
                  "step": 2.0, "hard": 8.0}  # fmt: skip


@dataclass(frozen=True)
class Center:
    """The device and the habits of one hospital."""

    name: str
    carrier_hz: float
    adc_bits: int
    mains_hz: float
    iq_gain_db: float
    iq_phase_deg: float
    angle_sd_deg: float
    sample_volumes_mm: tuple[float, ...]


@dataclass(frozen=True)
class Patient:
    """One patient in one session."""

    subject_id: str
    center: Center
    indication: str
    heart: Heart
    profile_exponent: float
    broadening: float
    snr_db: float
    embolus_rate_h: float
    gas_share: float
    ebr_offset_db: float
    artifact_rates_h: dict[str, float]
    voice_hz: float
    angle_deg: float
    sample_volume_mm: float
    depth_mm: float
    level_db: float
    clutter_db: float
    clutter_hz: float
    thump_db: float | None
    other_vessel_db: float | None
    dropouts_h: float


def draw_center(index: int, rng: np.random.Generator, carrier_hz: float | None) -> Center:
    """Device and habits of a center."""
    return Center(
        name=f"center-{index + 1}",
        carrier_hz=carrier_hz or (1.5e6, 2.0e6)[index % 2],
        adc_bits=int(rng.choice([12, 16, 16])),
        mains_hz=50.0,
        iq_gain_db=float(rng.uniform(0.05, 0.5)),
        iq_phase_deg=float(rng.uniform(0.2, 2.0)),
        angle_sd_deg=float(rng.uniform(10, 18)),
        sample_volumes_mm=tuple(rng.choice([5.0, 8.0, 10.0, 13.0], 2, replace=False)),
    )


def draw_patient(
    index: int, center: Center, rng: np.random.Generator, preset: str, rate_factor: float
) -> Patient:
    """One patient and session at a center.

    Parameters
    ----------
    index : int
        Makes the subject's name.
    center : Center
    rng : Generator
    preset : str
        `ambulatory` (all artifacts), `clinic` (a quarter of them) or `blood` (flow and noise).
    rate_factor : float
        Multiplies the embolus rates of carotid and stroke patients, whose true rates are low.
    """
    names = list(INDICATIONS)
    shares = np.array([INDICATIONS[name][0] for name in names])
    indication = str(rng.choice(names, p=shares)) if preset != "blood" else "none"
    _, rate, prevalence, gas_share = INDICATIONS[indication]
    rate *= rate_factor if indication in {"carotid", "stroke"} else 1.0
    emboli = rng.gamma(2.0, rate / 2.0) if rng.random() < prevalence else 0.0
    poor = rng.random() < 0.12
    fibrillation = rng.random() < 0.15
    amount = {"ambulatory": 1.0, "clinic": 0.25, "blood": 0.0}[preset]
    angle = float(min(abs(rng.normal(0, center.angle_sd_deg)), 45.0))
    age = rng.uniform(35, 85)
    level = float(rng.uniform(-40, -22))
    mean = rng.normal(*((58.4, 8.4) if age < 40 else (44.7, 11.1) if age > 60 else (52.0, 10.0)))
    return Patient(
        subject_id=f"sim-{index + 1:03d}",
        center=center,
        indication=indication,
        heart=Heart(
            mean_cm_s=float(np.clip(mean, 28, 80)),
            pulsatility=float(np.clip(rng.normal(0.85, 0.18), 0.5, 1.6)),
            rate_bpm=float(np.clip(rng.normal(68, 11), 45, 120)),
            variation=float(rng.uniform(0.15, 0.25) if fibrillation else rng.uniform(0.02, 0.05)),
        ),
        profile_exponent=float(rng.uniform(2.5, 8)),
        broadening=float(rng.uniform(0.03, 0.10)),
        snr_db=float(rng.uniform(0, 8) if poor else rng.uniform(8, 25)),
        embolus_rate_h=float(emboli),
        gas_share=gas_share,
        ebr_offset_db=float(rng.normal(0, 2)),
        artifact_rates_h={
            name: float(amount * rate * rng.lognormal(-0.405, 0.9))
            for name, rate in ARTIFACT_RATES.items()
        },
        voice_hz=float(rng.uniform(90, 220)),
        angle_deg=angle,
        sample_volume_mm=float(rng.choice(center.sample_volumes_mm)),
        depth_mm=float(rng.uniform(45, 58)),
        level_db=level,
        clutter_db=float(rng.uniform(5, min(35.0, -16 - level))),  # the wall does not overload
        clutter_hz=float(rng.uniform(40, 110)),
        thump_db=float(rng.uniform(0, 20)) if rng.random() < 0.2 else None,
        other_vessel_db=float(rng.uniform(-20, -6)) if rng.random() < 0.15 else None,
        dropouts_h=float(rng.uniform(0, 6)) if preset == "ambulatory" else 0.0,
    )

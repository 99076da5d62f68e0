"""All events of a session, drawn before any sample."""

from dataclasses import dataclass

import numpy as np

from emboscope.simulation.arrivals import awake, bursts, showers
from emboscope.simulation.artifacts import ArtifactKind, artifact_kinds
from emboscope.simulation.disturbances import Disturbances, disturbances
from emboscope.simulation.emboli import Embolus, EmbolusLaw, draw_embolus
from emboscope.simulation.gates import Sighting, artifact_delay, draw_sighting
from emboscope.simulation.groups import INDICATIONS
from emboscope.simulation.patient import Patient, Session, patient_rng
from emboscope.simulation.settings import PRESETS, SimulationSettings

CLUSTERED_H = 5.0  # patients with more emboli an hour have them in clusters
CLUSTER = (1.5, 300.0)  # mean number in a cluster, and its span in seconds
DROPOUT_S = (0.05, 20.0)
LOSS_S = (20.0, 120.0)  # without contact; with it about 4 % of a recording is not usable
DROPOUT_LOSS_DB = 60.0  # where noise is left


@dataclass(frozen=True)
class PlannedArtifact:
    """An artifact before it has a waveform."""

    number: int
    name: str
    kind: ArtifactKind
    onset_s: float
    duration_s: float
    level_db: float
    delay_s: float

    @property
    def start_s(self) -> float:
        """Nothing of it comes before."""
        return self.onset_s + min(self.delay_s, 0.0)


@dataclass(frozen=True)
class PlannedEmbolus:
    """An embolus before the flow gives it a frequency and a duration."""

    number: int
    embolus: Embolus
    peak_s: float
    sighting: Sighting

    @property
    def start_s(self) -> float:
        """Nothing of it comes before."""
        return self.peak_s - 1.0


@dataclass(frozen=True)
class Dropout:
    """A span without blood: `zeros`, or `noise` alone."""

    onset_s: float
    duration_s: float
    kind: str


@dataclass(frozen=True)
class Plan:
    """What happens in a session.

    Attributes
    ----------
    artifacts, emboli : tuple
        In no order.
    dropouts : tuple of Dropout
    """

    artifacts: tuple[PlannedArtifact, ...]
    emboli: tuple[PlannedEmbolus, ...]
    dropouts: tuple[Dropout, ...]

    @property
    def moves_s(self) -> np.ndarray:
        """When the probe or its gate moves."""
        return np.sort([each.onset_s for each in self.artifacts if each.name == "step"])

    @property
    def silent_s(self) -> np.ndarray:
        """Onset and end of the spans of zeros, (n, 2)."""
        spans = [(d.onset_s, d.onset_s + d.duration_s) for d in self.dropouts if d.kind == "zeros"]
        return np.array(spans, dtype=float).reshape(-1, 2)


def draw_plan(
    patient: Patient, session: Session, settings: SimulationSettings, index: int
) -> tuple[Plan, Disturbances]:
    """Everything that happens, and how it disturbs the flow."""
    duration_s = settings.minutes * 60
    losses_h = PRESETS[settings.preset].losses_h
    rng = patient_rng(settings.seed, index, "dropouts")
    dropouts = _dropouts(session, losses_h, duration_s, rng)
    rng = patient_rng(settings.seed, index, "artifacts")
    artifacts, spans = _artifacts(patient, session, duration_s, dropouts, rng)
    rng = patient_rng(settings.seed, index, "emboli")
    emboli = _emboli(patient, session, settings, dropouts, rng)
    spans += [
        (d.onset_s, d.duration_s, DROPOUT_LOSS_DB, 0.0) for d in dropouts if d.kind == "noise"
    ]
    return Plan(artifacts, emboli, dropouts), disturbances(spans)


def _dropouts(
    session: Session, losses_h: float, duration_s: float, rng: np.random.Generator
) -> tuple[Dropout, ...]:
    """Short ones of zeros or noise, and longer ones of noise alone."""
    hours = duration_s / 3600
    n_short, n_long = rng.poisson(session.dropouts_h * hours), rng.poisson(losses_h * hours)
    kinds = rng.choice(["zeros", "noise"], n_short).tolist() + ["noise"] * n_long
    lengths = [*rng.uniform(*DROPOUT_S, n_short), *rng.uniform(*LOSS_S, n_long)]
    onsets = rng.uniform(0, duration_s, n_short + n_long)
    spans = sorted(zip(onsets.tolist(), lengths, kinds, strict=True))
    return tuple(
        Dropout(onset, float(min(length, duration_s - onset)), kind)
        for onset, length, kind in spans
    )


def _recorded(times: np.ndarray, dropouts: tuple[Dropout, ...]) -> np.ndarray:
    """Those of the times at which something is recorded."""
    lost = np.zeros(times.size, bool)
    for each in dropouts:
        lost |= (times >= each.onset_s - 0.1) & (times <= each.onset_s + each.duration_s + 0.1)
    return times[~lost]


def _artifacts(
    patient: Patient,
    session: Session,
    duration_s: float,
    dropouts: tuple[Dropout, ...],
    rng: np.random.Generator,
) -> tuple[tuple[PlannedArtifact, ...], list[tuple[float, float, float, float]]]:
    planned: list[PlannedArtifact] = []
    spans: list[tuple[float, float, float, float]] = []
    for name, kind in artifact_kinds(patient.voice_hz).items():
        times = bursts(patient.artifact_rates_h[name], kind.burst, duration_s, rng)
        for onset in _recorded(awake(times, session.start_hour, rng), dropouts):
            length = float(np.exp(rng.uniform(*np.log(kind.duration_s))))
            level, delay = float(rng.uniform(*kind.level_db)), artifact_delay(rng)
            loss = rng.uniform(*kind.loss_db)
            change = kind.flow_change * rng.uniform(-1, 1)
            planned.append(
                PlannedArtifact(len(planned), name, kind, float(onset), length, level, delay)
            )
            if loss > 0 or change != 0:
                spans.append((float(onset), length, float(loss), float(change)))
    return tuple(planned), spans


def _emboli(
    patient: Patient,
    session: Session,
    settings: SimulationSettings,
    dropouts: tuple[Dropout, ...],
    rng: np.random.Generator,
) -> tuple[PlannedEmbolus, ...]:
    group = INDICATIONS[patient.indication]
    law = EmbolusLaw(
        patient.ebr_offset_db, patient.fm_propensity, session.curvature_per_mm, settings.gas_law
    )
    rate, duration_s = patient.embolus_rate_h, settings.minutes * 60
    burst = CLUSTER if rate > CLUSTERED_H else (1.0, 0.0)
    single = _recorded(bursts(rate * (1 - group.shower_share), burst, duration_s, rng), dropouts)
    crowd = _recorded(showers(rate * group.shower_share, duration_s, rng), dropouts)
    labels = np.where(rng.random(single.size) < group.gas_share, "gaseous", "solid").tolist()
    planned: list[PlannedEmbolus] = []
    for peak, label in [*zip(single, labels, strict=True), *((t, "gaseous") for t in crowd)]:
        embolus = draw_embolus(label, law, rng)
        sighting = draw_sighting(embolus.ebr_db, rng)
        planned.append(PlannedEmbolus(len(planned), embolus, float(peak), sighting))
    return tuple(planned)

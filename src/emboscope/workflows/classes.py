"""Classes of found events by an exported model: the one that is shipped, or the user's own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.events.event import LABELS, Event
from emboscope.progress import Progress, silent
from emboscope.signal.readers import Source
from emboscope.workflows.segments import cut_segments

if TYPE_CHECKING:
    from emboscope.export.exported import ExportedModel

SHIPPED = Path(__file__).parent / "monitor_weights"  # an export with its card, part of the package
BATCH = 128  # segments that are cut, seen and judged at a time
LEAST = 0.5  # probability of an answer, where the model tells no other
CARRIER_TOLERANCE = 0.05  # of the carrier to those that the model knows
UNKNOWN = "unknown"
SIMULATED = "simulated patients alone"
NO_ORIGIN = "classes by a model that does not tell what it was trained on"
NO_CARRIER = "no carrier: whether the model suits it is not known"


def trained_on(data: str) -> str:
    """What every output must say of a model's origin."""
    return f"classes by a model trained on {data}"


@dataclass(frozen=True)
class ClassOptions:
    """By which model events are named.

    Attributes
    ----------
    model : Path
        Folder of an export.
    least : float, optional
        Probability under which an event is unknown; that of the model by default.
    force : bool
        Also on another carrier than the model knows.
    """

    model: Path = SHIPPED
    least: float | None = None
    force: bool = False


@dataclass(frozen=True)
class Judge:
    """A model that names events.

    Attributes
    ----------
    model : ExportedModel
    name : str
        Of its folder; `shipped` of the one in the package.
    least : float
        Probability under which an event is unknown.
    columns : tuple of int
        Of the model's classes, in the order of `LABELS`.
    """

    model: "ExportedModel"
    name: str
    least: float
    columns: tuple[int, ...]

    def probabilities(self, segments: np.ndarray) -> np.ndarray:
        """Of `LABELS`, shape (n, 3), of segments (n, 2, n_times)."""
        found = self.model.judge(segments)
        if found.shape != (len(segments), len(self.columns)) or not np.isfinite(found).all():
            raise DataError(
                f"model '{self.name}': gives {found.shape}, or no finite numbers; expected "
                f"{len(self.columns)} probabilities of each segment. Export it again."
            )
        return found[:, self.columns].astype(np.float64)

    def names(self, probabilities: np.ndarray) -> list[str]:
        """One of `LABELS` a row, or `unknown` where no class is likely enough."""
        from emboscope.learning.uncertainty import abstain

        chosen = abstain(probabilities, np.arange(len(LABELS)), self.least)
        return [LABELS[row] if row >= 0 else UNKNOWN for row in chosen]

    @property
    def flag(self) -> str:
        """What every output must say."""
        told = self.model.manifest.trained_on
        return trained_on(told) if told else NO_ORIGIN

    @property
    def note(self) -> dict[str, object]:
        """What stands in the result files."""
        manifest = self.model.manifest
        return {
            "name": self.name,
            "trained_on": manifest.trained_on,
            "weights_sha256": manifest.source_weights_sha256,
            "classes": list(manifest.classes),
            "carriers_hz": list(manifest.carriers_hz),
            "least_probability": self.least,
            "runtime": self.model.runtime,
            "versions": dict(manifest.versions),
        }


def load_judge(options: ClassOptions) -> Judge:
    """The model that is wanted; torch is loaded here.

    Raises
    ------
    DataError
        If its folder cannot be used, or it does not tell artifact, gaseous and solid of I and Q.
    SettingsError
        If `least` is no probability.
    """
    from emboscope.export.exported import load_exported

    if options.least is not None and not 0 <= options.least <= 1:
        raise SettingsError(f"--least-probability {options.least:g}: expected 0 to 1.")
    model = load_exported(options.model)
    classes = model.manifest.classes
    if sorted(classes) != sorted(LABELS):
        raise DataError(
            f"model '{options.model}': classes {', '.join(classes)}; expected "
            f"{', '.join(LABELS)}. Export a model that was trained on HITS."
        )
    if model.front_end.n_channels != 2:
        raise DataError(
            f"model '{options.model}': segments of {model.front_end.n_channels} channel; expected "
            "2, I and Q. Export a model that was trained on HITS."
        )
    own = model.manifest.least_probability
    least = options.least if options.least is not None else LEAST if own is None else own
    name = "shipped" if options.model == SHIPPED else options.model.resolve().name
    return Judge(model, name, least, tuple(classes.index(label) for label in LABELS))


def check_carrier(judge: Judge, path: Path, source: Source, force: bool) -> None:
    """Refuse a recording whose carrier the model does not know.

    Raises
    ------
    DataError
    """
    known, found = judge.model.manifest.carriers_hz, source.carrier_hz
    if force or not known or not found or _near(found, known):
        return
    megahertz = " or ".join(f"{each / 1e6:g}" for each in known)
    raise DataError(
        f"recording '{path}': carrier {found / 1e6:g} MHz; expected {megahertz}, of which the "
        f"model '{judge.name}' has learned. Name another model, or pass --force."
    )


def _near(carrier_hz: float, known: Sequence[float]) -> bool:
    return any(abs(carrier_hz / each - 1) <= CARRIER_TOLERANCE for each in known)


def class_flags(judge: Judge, carrier_hz: float | None) -> tuple[str, ...]:
    """What the reader of the classes of a recording should know."""
    known = judge.model.manifest.carriers_hz
    if known and carrier_hz is None:
        return judge.flag, NO_CARRIER
    if known and carrier_hz and not _near(carrier_hz, known):
        return judge.flag, f"carrier {carrier_hz / 1e6:g} MHz: the model has not learned of it"
    return (judge.flag,)


def named_events(
    judge: Judge, source: Source, events: Sequence[Event], name: str, progress: Progress = silent
) -> tuple[Event, ...]:
    """The events of a recording with their classes and probabilities, batch by batch.

    Parameters
    ----------
    judge : Judge
    source : Source
        As it was searched, with Q of the same sign.
    events : sequence of Event
    name : str
        Of the recording, for the progress.
    """
    named: list[Event] = []
    for start in range(0, len(events), BATCH):
        batch = events[start : start + BATCH]
        peaks_s = [event.peak_s for event in batch]
        found = judge.probabilities(cut_segments(source, peaks_s, judge.model.front_end))
        for event, label, row in zip(batch, judge.names(found), found.tolist(), strict=True):
            named.append(replace(event, label=label, probabilities=tuple(row)))
        progress(f"{name}: classes", len(named), len(events))
    return tuple(named)


def count_labels(labels: Sequence[str]) -> dict[str, int]:
    """How many there are of each class, and unknown."""
    counts = Counter(labels)
    return {label: counts[label] for label in (*LABELS, UNKNOWN)}

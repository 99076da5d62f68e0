"""All that a report tells of one monitoring session; what is not known is said to be so."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from emboscope.events.event import LABELS, VERDICTS, Event

NOT_RECORDED = "not recorded"
UNKNOWN_REASON = "reason not recorded"
UNSURE = "unknown"  # label of an event of which a model is not sure enough

Stretch = tuple[float, float, str]


@dataclass(frozen=True)
class Subject:
    """Whose recording it is, as far as a pseudonym tells, and of what.

    Attributes
    ----------
    pseudonym, recorded_on, start, indication, side : str
        Text as it is printed.
    simulated : bool
        Whether there is no person at all.
    """

    pseudonym: str = NOT_RECORDED
    recorded_on: str = NOT_RECORDED
    start: str = NOT_RECORDED
    indication: str = NOT_RECORDED
    side: str = NOT_RECORDED
    simulated: bool = False


@dataclass(frozen=True)
class Velocities:
    """Flow over the session, in cm/s, with the pulsatility index; None where not measured."""

    mean: float | None = None
    psv: float | None = None
    edv: float | None = None
    pi: float | None = None


@dataclass(frozen=True)
class DetectorNote:
    """With what the events were found.

    Attributes
    ----------
    name : str
    threshold_db : float
        HITS-to-blood ratio that opens an event.
    settings : mapping of str to str
        All of them, as they were in effect.
    versions : mapping of str to str
    """

    name: str
    threshold_db: float
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelNote:
    """By which model the events were named.

    Attributes
    ----------
    name : str
        Of its folder; `shipped` of the one in the package.
    trained_on : str
        Empty where it is not told.
    least_probability : float
        Under which an event is unknown.
    weights_sha256 : str
    """

    name: str
    trained_on: str
    least_probability: float
    weights_sha256: str


@dataclass(frozen=True)
class Review:
    """By how many people the events were looked at, how many of them, and how many changed."""

    reviewers: int
    reviewed: int
    changes: int


@dataclass(frozen=True)
class EventPicture:
    """An event of the gallery.

    Attributes
    ----------
    event : Event
    png : bytes
        Its spectrogram.
    wav_bytes : bytes
        Its sound: towards the probe left, away right.
    number : int
        Its place among all events of the recording, from 1.
    """

    event: Event
    png: bytes
    wav_bytes: bytes
    number: int = 0


@dataclass(frozen=True)
class Monitoring:
    """One session as the report shows it.

    Attributes
    ----------
    name : str
        Of the recording.
    subject : Subject
    items : mapping of str to str or float
        The consensus items by their names in `NAME.events.json`, vessel and depth among them;
        those missing are not recorded.
    duration_s, evaluable_hours : float
        Length of the recording, and how much of it could be judged.
    unusable : tuple of (start_s, stop_s, reason), or None
        Stretches that could not be judged, in order and apart; None when they are not recorded.
    flow_side : str or None
        `towards`, `away`, or None where it could not be told.
    velocities : Velocities
    events : tuple of Event
        All of them.
    detector : DetectorNote
    review : Review, optional
        None: nobody looked at the events.
    flags : tuple of str
        What the detector wants the reader to know.
    gallery : tuple of EventPicture
        The events shown, in the order in which they are.
    model : ModelNote, optional
        None: no model named the events.
    """

    name: str
    subject: Subject
    items: Mapping[str, str | float]
    duration_s: float
    evaluable_hours: float
    unusable: tuple[Stretch, ...] | None
    flow_side: str | None
    velocities: Velocities
    events: tuple[Event, ...]
    detector: DetectorNote
    review: Review | None = None
    flags: tuple[str, ...] = ()
    gallery: tuple[EventPicture, ...] = ()
    model: ModelNote | None = None

    @property
    def emboli(self) -> tuple[Event, ...]:
        """Events that count as emboli: by the model where it spoke, else by the criteria."""
        return tuple(event for event in self.events if event.is_embolus)

    @property
    def labeled(self) -> bool:
        """Whether a model named the events."""
        return any(event.label for event in self.events)

    @property
    def classes(self) -> dict[str, int]:
        """Events by the class that a model gave them."""
        counts = Counter(event.label for event in self.events)
        return {name: counts[name] for name in (*LABELS, UNSURE)}

    @property
    def verdicts(self) -> dict[str, int]:
        """Events by verdict of the criteria."""
        counts = Counter(event.verdict for event in self.events)
        return {name: counts[name] for name in VERDICTS}

    @property
    def evaluable(self) -> tuple[tuple[float, float], ...]:
        """Stretches between the unusable ones, in seconds; the whole where none are recorded."""
        edges = [(0.0, 0.0), *((a, b) for a, b, _ in self.unusable or ())]
        starts = [stop for _, stop in edges]
        stops = [*(start for start, _ in edges[1:]), self.duration_s]
        return tuple((a, b) for a, b in zip(starts, stops, strict=True) if b > a)

    @property
    def unusable_s(self) -> dict[str, float]:
        """Seconds that could not be judged, by reason; what no stretch explains comes last."""
        seconds: dict[str, float] = {}
        for start, stop, reason in self.unusable or ():
            seconds[reason] = seconds.get(reason, 0.0) + stop - start
        rest = self.duration_s - 3600 * self.evaluable_hours - math.fsum(seconds.values())
        if rest > max(1.0, 0.002 * self.duration_s):  # less is the rounding to frames
            seconds[UNKNOWN_REASON] = rest
        return seconds

"""What a report reads from `NAME.events.json`, checked."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    ValidationError,
)

from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.report.session import NOT_RECORDED


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


Optional = Annotated[FiniteFloat | None, BeforeValidator(_none_if_empty)]


class _Part(BaseModel):
    """Keys that are not known here are for others."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventRow(_Part):
    """One event, with the columns of `NAME.events.csv`."""

    onset_s: FiniteFloat
    duration_s: NonNegativeFloat
    peak_s: FiniteFloat
    hbr_db: FiniteFloat
    direction_db: FiniteFloat
    frequency_hz: FiniteFloat
    velocity_cm_s: Optional = None
    saturated: bool
    aliased: bool
    verdict: Literal["embolus", "doubtful", "artifact", "too_long"]
    label: Literal["", "artifact", "gaseous", "solid", "unknown"] = ""
    p_artifact: Optional = None
    p_gaseous: Optional = None
    p_solid: Optional = None

    def event(self) -> Event:
        """The same as an event."""
        values = self.model_dump(exclude={"p_artifact", "p_gaseous", "p_solid"})
        shares = (self.p_artifact, self.p_gaseous, self.p_solid)
        known = tuple(share for share in shares if share is not None)
        return Event(**values, probabilities=known if len(known) == len(shares) else ())


class VelocityRow(_Part):
    """Flow over the recording; what was not measured is missing."""

    mean_cm_s: Optional = None
    psv_cm_s: Optional = None
    edv_cm_s: Optional = None
    pi: Optional = None


class ReviewRow(_Part):
    """Who looked at the events."""

    reviewers: NonNegativeInt
    reviewed: NonNegativeInt
    changes: NonNegativeInt


class ModelRow(_Part):
    """By which model the events were named."""

    name: str
    trained_on: str = ""
    least_probability: FiniteFloat
    weights_sha256: str = ""


class JudgedTime(_Part):
    """How much of a recording could be judged; all that scoring needs of the file."""

    duration_s: PositiveFloat
    evaluable_hours: NonNegativeFloat
    unusable: tuple[tuple[NonNegativeFloat, NonNegativeFloat, str], ...] | None = None


class EventFile(JudgedTime):
    """What a report needs of the file; what older files lack is not recorded."""

    sfreq: PositiveFloat
    fingerprint: str | None = None
    q_sign: Literal["auto", "+", "-"] = "auto"
    layout: Literal["auto", "iq", "forward_reverse"] = "auto"
    flow_side: Literal["towards", "away"] | None
    subject_id: str = ""
    side: str | None = None
    indication: str | None = None
    recorded_on: str | None = None
    flags: tuple[str, ...]
    detector: str
    settings: dict[str, object]
    versions: dict[str, str]
    acquisition: dict[str, str | float | None]
    events: tuple[EventRow, ...]
    velocity: VelocityRow | None = None
    review: ReviewRow | None = None
    model: ModelRow | None = None

    @property
    def known(self) -> dict[str, str | float]:
        """Acquisition items, side, indication and date, as far as they are recorded."""
        subject = {name: getattr(self, name) for name in ("side", "indication", "recorded_on")}
        items = {**self.acquisition, **subject}
        return {k: v for k, v in items.items() if v is not None and v not in {"", NOT_RECORDED}}


Content = TypeVar("Content", bound=JudgedTime)


def parse_event_file(content: Mapping[str, object], name: str) -> EventFile:
    """The checked content of the events of a recording; see `parse_part`."""
    return parse_part(EventFile, content, name)


def parse_part(kind: type[Content], content: Mapping[str, object], name: str) -> Content:
    """The checked part of the events of a recording that is needed.

    Raises
    ------
    DataError
        With the first key that is missing or wrong.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where, message = ".".join(map(str, first["loc"])), first["msg"]
        raise DataError(
            f"events of '{name}': {where}: {message[0].lower()}{message[1:]}; expected what scan "
            "writes. "
            "Scan the recording again."
        ) from error

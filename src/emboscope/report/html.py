"""A report in one HTML file: text, tables, pictures and sounds inside it."""

import base64
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from emboscope.errors import DataError

LARGEST_BYTES = 15_000_000

Facts = tuple[tuple[str, str], ...]


def _data_address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()


@dataclass(frozen=True)
class Figure:
    """A PNG, and what can be read from it; `alt` tells it to who cannot see, else the caption."""

    png: bytes
    caption: str
    alt: str = ""

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return _data_address("image/png", self.png)


@dataclass(frozen=True)
class Audio:
    """A WAV file, and what is heard."""

    wav: bytes
    label: str

    @property
    def source(self) -> str:
        """The sound as a data address."""
        return _data_address("audio/wav", self.wav)


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column names the row and stands to the left."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Card:
    """One of many alike: a picture, a few facts, and a sound."""

    title: str
    figure: Figure
    facts: Facts
    audio: Audio | None = None


@dataclass(frozen=True)
class Section:
    """A part of the report: text, facts, tables, figures, points, cards, in that order."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    facts: Facts = ()
    points: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True)
class Highlight:
    """One of the few figures that a reader looks for first."""

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Report:
    """All that stands in the file."""

    title: str
    summary: str
    notice: str
    sections: tuple[Section, ...]
    provenance: Facts = ()
    provenance_title: str = "How this was made"
    warnings: tuple[str, ...] = ()
    highlights: tuple[Highlight, ...] = ()
    language: str = "en"


def render(report: Report) -> str:
    """The report as HTML that fetches nothing and runs nothing.

    Raises
    ------
    DataError
        If it would be larger than 15 MB.
    """
    text = _template().render(report=report)
    if len(text) > LARGEST_BYTES:
        raise DataError(
            f"report: {len(text) / 1e6:.0f} MB; expected under 15 MB. Show fewer recordings."
        )
    return text


@cache
def _template() -> Template:
    loader = PackageLoader("emboscope.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2")

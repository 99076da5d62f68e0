"""A report in one HTML file: text, tables, and pictures inside it."""

import base64
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from emboscope.errors import DataError

LARGEST_BYTES = 15_000_000


@dataclass(frozen=True)
class Figure:
    """A PNG, and what can be read from it."""

    png: bytes
    caption: str

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column stands to the left."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that stands in the file."""

    title: str
    summary: str
    notice: str
    sections: tuple[Section, ...]
    provenance: tuple[tuple[str, str], ...] = ()


def render(report: Report) -> str:
    """The report as HTML that fetches nothing.

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
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(
        "report.html.j2"
    )

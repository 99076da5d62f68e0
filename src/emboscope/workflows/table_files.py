"""Tables of a study as Markdown, CSV and LaTeX, and its pictures."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from emboscope.report.study_figures import Frame, Spot, spots_figure
from emboscope.workflows.files import write_bytes, write_text
from emboscope.workflows.table_figures import Figure, Table, TableRow
from emboscope.workflows.tables import Column, FigureSettings, Study

SIMULATED = "simulated"
_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "τ": r"$\tau$", "±": r"$\pm$",
        "×": r"$\times$", "−": "$-$", "≥": r"$\geq$", "≤": r"$\leq$", "–": "--"}  # fmt: skip


def write_tables(folder: Path, study: Study, tables: Sequence[Table], command: str) -> list[Path]:
    """Write `tables.md`, a CSV and a LaTeX file for each table, a PNG for each figure; their paths.

    Of a figure that nothing is measured for there is no file.
    """
    pages = {"tables.md": markdown(study, tables, command)}
    for table in tables:
        pages[f"{table.name}.csv"] = as_csv(table)
        pages[f"{table.name}.tex"] = as_tex(table)
    for name, text in pages.items():
        write_text(folder / name, text)
    drawn = {f"{figure.name}.png": picture(figure, tables) for figure in study.settings.figures}
    drawn = {name: content for name, content in drawn.items() if content}
    for name, content in drawn.items():
        write_bytes(folder / name, content)
    return [folder / name for name in (*pages, *drawn)]


def picture(figure: FigureSettings, tables: Sequence[Table]) -> bytes:
    """A figure of a study as a PNG; empty where none of its rows is measured."""
    chosen = [table for table in tables if table.name in figure.tables]
    spots = [spot for table in chosen for row in table.rows for spot in _spots(figure, table, row)]
    if not spots:
        return b""
    heads = {column.name: column.head for table in chosen for column in table.columns}
    area = heads[figure.area] if figure.area else ""
    title = figure.title or figure.name
    return spots_figure(spots, Frame(title, heads[figure.x], heads[figure.y], area, figure.log_x))


def _spots(figure: FigureSettings, table: Table, row: TableRow) -> Iterator[Spot]:
    """The mark of a row, where all that it needs is measured."""
    if not row.figures:
        return
    means = [row.figures[name].mean for name in figure.columns]
    if any(math.isnan(mean) for mean in means):
        return
    x, y, *rest = means
    area = rest[0] if rest else None
    group = f"{table.title} ({SIMULATED})" if row.simulated else table.title
    yield Spot(row.label, group, x, y, row.figures[figure.y].interval, area)


def cells_of(table: Table) -> list[list[str]]:
    """A table as text, heads first: mean ± SD [interval], and what was published beside it."""
    published = {
        column.name: any(
            row.figures[column.name].published for row in table.rows if column.name in row.figures
        )
        for column in table.columns
    }
    heads = [""]
    for column in table.columns:
        heads += [column.head, *(["published", "difference"] if published[column.name] else [])]
    return [[*heads, "repeats"], *(_text(row, table.columns, published) for row in table.rows)]


def markdown(study: Study, tables: Sequence[Table], command: str) -> str:
    """All tables on one page, with how each was measured."""
    parts = [f"# {study.settings.title}", study.settings.description.strip()]
    parts.append(f"Made by `{command}`. Mean ± SD over repeats [95 % interval of the mean].")
    for table in tables:
        heads, *rows = cells_of(table)
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
        text = "\n".join(f"| {' | '.join(_bar(cell) for cell in line)} |" for line in lines)
        parts += [f"## {table.title}", text, "\n".join(notes_of(table))]
    return "\n\n".join(part for part in parts if part) + "\n"


def notes_of(table: Table) -> list[str]:
    """How a table was measured: a sentence a line."""
    seeds = sorted({seed for row in table.rows for seed in row.seeds})
    if not seeds:
        return ["Nothing is measured yet."]
    several = any(len(row.seeds) > 1 for row in table.rows)
    notes = [
        f"Intervals: {table.method}." if several else "One repeat: no interval.",
        f"Seeds {', '.join(_spans(seeds))}; threads {', '.join(map(str, table.threads))}; "
        f"{', '.join(table.versions)}.",
    ]
    if any(row.simulated for row in table.rows):
        notes.append("Rows marked simulated stand on simulated patients.")
    if table.source:
        notes.append(f"Published: {table.source}.")
    missing = [row.label for row in table.rows if len(row.seeds) < row.wanted]
    if missing:
        notes.append(f"Not complete: {'; '.join(missing)}.")
    notes += [f"{row.label}: {row.note}" for row in table.rows if row.note]
    return [*notes, *([table.note.strip()] if table.note else [])]


def as_csv(table: Table) -> str:
    """One line a row: of each column mean, SD, median, interval, published, difference, values.

    The values of all repeats stand in one field, in the order of `seeds`.
    """
    names = ("mean", "sd", "median", "low", "high", "published", "published_sd", "difference")
    heads = [f"{column.name}_{name}" for column in table.columns for name in (*names, "values")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", *heads, "repeats", "seeds", "median_s", "data"])
    for row in table.rows:
        fields = [field for column in table.columns for field in _fields(row, column)]
        seeds = " ".join(map(str, row.seeds))
        data = SIMULATED if row.simulated else "real"
        line = [*fields, str(len(row.seeds)), seeds, _number(row.seconds), data]
        writer.writerow([row.label, *line])
    return buffer.getvalue()


def as_tex(table: Table) -> str:
    """A `tabular` for a paper, without any package."""
    heads, *rows = cells_of(table)
    lines = [" & ".join(_escaped(cell) for cell in line) + r" \\" for line in [heads, *rows]]
    body = "\n".join([lines[0], r"\hline", *lines[1:]])
    comments = "\n".join(f"% {line}" for note in notes_of(table) for line in note.splitlines())
    columns = "l" + "r" * (len(heads) - 1)
    return f"{comments}\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"


def _text(row: TableRow, columns: Sequence[Column], published: dict[str, bool]) -> list[str]:
    line = [f"{row.label} ({SIMULATED})" if row.simulated else row.label]
    for column in columns:
        figure = row.figures.get(column.name)
        line.append(_estimate(figure, column))
        if published[column.name]:
            line += _beside(figure, column.digits)
    return [*line, str(len(row.seeds))]


def _estimate(figure: Figure | None, column: Column) -> str:
    """Mean ± SD [low, high], and the median if wanted; a dash where nothing was measured."""
    digits = column.digits
    if figure is None or math.isnan(figure.mean):
        return "–"
    text = f"{figure.mean:.{digits}f}"
    if math.isnan(figure.sd):
        return text
    low, high = figure.interval
    text = f"{text} ± {figure.sd:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{text}, median {figure.median:.{digits}f}" if column.median else text


def _beside(figure: Figure | None, digits: int) -> list[str]:
    """Published mean ± SD, and how far ours is from it."""
    if figure is None or figure.published is None:
        return ["", ""]
    mean, sd = figure.published
    text = f"{mean:.{digits}f}" if math.isnan(sd) else f"{mean:.{digits}f} ± {sd:.{digits}f}"
    return [text, "" if math.isnan(figure.mean) else f"{figure.difference:+.{digits}f}"]


def _fields(row: TableRow, column: Column) -> Iterator[str]:
    """What the CSV tells of one column."""
    yield from map(_number, _numbers(row, column))
    figure = row.figures.get(column.name)
    yield " ".join(_number(value) or "nan" for value in figure.values) if figure else ""


def _numbers(row: TableRow, column: Column) -> Iterator[float]:
    figure = row.figures.get(column.name)
    if figure is None:
        yield from [math.nan] * 8
        return
    yield from (figure.mean, figure.sd, figure.median, *figure.interval)
    yield from figure.published or (math.nan, math.nan)
    yield figure.difference


def _number(value: float) -> str:
    """Empty where nothing was measured."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _spans(numbers: Sequence[int]) -> Iterator[str]:
    """`0–9` of ten numbers in a row."""
    start = numbers[0]
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        if following != number + 1:
            yield f"{start}" if start == number else f"{start}–{number}"
            start = following or 0


def _bar(cell: str) -> str:
    return cell.replace("|", "\\|")


def _escaped(cell: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in cell)

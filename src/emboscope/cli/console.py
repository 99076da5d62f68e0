"""What a command prints: tables for people, JSON for scripts, one sentence for an error."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from emboscope.errors import EmboscopeError
from emboscope.progress import Progress, silent

NOTICE = "Research use only. Not a medical device."
_WIDTH = 110  # of a table that goes into a file
_BORDER = 3  # of a column

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no notice.")]
Seed = Annotated[int, typer.Option(help="Seed of all that is random.", min=0)]
Recordings = Annotated[
    list[Path], typer.Argument(help="Recordings, or folders of them (WAV, FLAC, EDF, …).")
]
CarrierMhz = Annotated[
    float | None, typer.Option(help="Transmitted frequency, where no sidecar tells it.")
]
QSign = Annotated[str, typer.Option(help="Sign of Q: auto (sidecar, else +), + or -.")]
Threads = Annotated[
    int | None, typer.Option(help="Threads to compute with; all cores by default.", min=1)
]


def command(function: Callable) -> Callable:
    """Turn our errors into one sentence and an exit code, and Ctrl-C into 130."""

    @functools.wraps(function)
    def run(*args: object, **options: object) -> None:
        try:
            if options.get("threads"):
                os.environ["OMP_NUM_THREADS"] = str(options["threads"])
            if not options.get("quiet"):
                typer.secho(NOTICE, err=True, dim=True)
            function(*args, **options)
        except EmboscopeError as error:
            typer.secho(f"emboscope: {error}", err=True, fg="red")
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            where = f"'{error.filename}': " if error.filename else ""
            typer.secho(f"emboscope: {where}{error.strerror or error}.", err=True, fg="red")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.secho(
                "\nemboscope: interrupted. Repeat the same command to go on.", err=True, fg="yellow"
            )
            raise typer.Exit(130) from None

    return run


def print_json(content: object) -> None:
    """One JSON object on stdout; NaN becomes null."""
    typer.echo(json.dumps(_plain(content), indent=1))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], whole: bool = True
) -> None:
    """A table: the first column to the left, the others to the right.

    Of a table that need not be `whole` the last columns, for which the terminal is too narrow, are
    left out and named below it.
    """
    from rich.console import Console
    from rich.table import Table

    console, table = Console(width=None if sys.stdout.isatty() else _WIDTH), Table()
    columns = list(zip(header, *rows, strict=True))
    widths = None if whole else fitting_widths(columns, console.width)
    shown = len(columns) if widths is None else len(widths)
    for index, name in enumerate(header[:shown]):
        table.add_column(
            name,
            justify="left" if index == 0 else "right",
            overflow="fold",
            width=None if widths is None else widths[index],
        )
    for row in rows:
        table.add_row(*row[:shown])
    typer.echo(title)
    console.print(table)
    if shown < len(header):
        typer.echo(f"Not shown, for want of width: {'; '.join(header[shown:])}.")


def fitting_widths(columns: Sequence[Sequence[str]], width: int) -> list[int]:
    """Letters of the first columns, as many as fit side by side with no word broken; at least two.

    What is left goes to the first of those that would take more.
    """
    widths: list[int] = []
    left = width - 1
    for cells in columns:
        longest = max(len(word) for cell in cells for word in cell.split() or [""])
        left -= longest + _BORDER
        if left < 0 and len(widths) >= 2:
            left += longest + _BORDER
            break
        widths.append(longest)
    for index, longest in enumerate(widths):
        more = max(0, min(left, max(map(len, columns[index])) - longest))
        widths[index] += more
        left -= more
    return widths


class ProgressLine:
    """Progress on stderr: a line that is rewritten on a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self._last = 0.0
        self._started: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that `done` of `total` of a task is done."""
        now = time.monotonic()
        begun = self._started.setdefault(what, now)
        terminal = sys.stderr.isatty()
        if done < total and now - self._last < (0.2 if terminal else 15):
            return
        if done >= total and not terminal and now - begun < 2:
            return
        self._last = now
        left = (now - begun) / done * (total - done) if done else 0
        line = f"{what}: {done}/{total}" + (f", {left:.0f} s left" if 0 < done < total else "")
        end = "\n" if not terminal or done >= total else ""
        sys.stderr.write(f"\r\033[K{line}{end}" if terminal else f"{line}\n")
        sys.stderr.flush()


def progress_of(quiet: bool, as_json: bool) -> Progress:
    """Progress for a person, or none."""
    return silent if quiet or as_json else ProgressLine()


def percent(value: float) -> str:
    """A share × 100 with one decimal; a dash where nothing was measured."""
    return "–" if value != value else f"{100 * value:.1f}"

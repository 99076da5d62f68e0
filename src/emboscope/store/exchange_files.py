"""What the formats of labels share: text files, and numbers that may be wrong."""

import json
import math
import os
from pathlib import Path

from emboscope.errors import DataError


def write_text(path: Path, text: str) -> None:
    """Write a file aside, flush it, and give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Read a file of UTF-8, with or without a mark at its start."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"labels '{path}': {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"labels '{path}': not text in UTF-8. Save it again.") from error


def read_json(path: Path) -> object:
    """Read a JSON file."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"labels '{path}': not JSON ({error}). Export it again.") from error


def number(what: str, name: str, value: object, whole: bool = False) -> float | None:
    """A number that may be missing."""
    if value is None or value == "":
        return None
    try:
        figure = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        figure = math.nan
    if not math.isfinite(figure) or (whole and figure != round(figure)):
        kind = "a whole number" if whole else "a number"
        raise DataError(f"{what}: {name} is '{value}'; expected {kind}. Nothing was imported.")
    return figure


def share(what: str, value: object) -> float:
    """A probability."""
    figure = number(what, "a probability", value)
    if figure is None:
        raise DataError(f"{what}: a probability is missing; expected all of them, or none.")
    return figure

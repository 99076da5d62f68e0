"""Labels as CSV: one row a sample and annotator."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from emboscope.errors import DataError
from emboscope.store.exchange import LabelRow
from emboscope.store.exchange_files import number, read_text, share, write_text

COLUMNS = ("sample_id", "recording", "peak_s", "label", "source", "annotator", "when")


def write_csv(path: Path, rows: Sequence[LabelRow], classes: Sequence[str]) -> None:
    """Write labels: UTF-8, decimal point, probabilities in full."""
    names = [f"p_{name}" for name in classes]
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow([*COLUMNS[:4], *names, *COLUMNS[4:]])
    for row in rows:
        peak = "" if row.peak_s is None else f"{row.peak_s:.6f}"
        shares = row.probabilities or ("",) * len(classes)
        start = [row.sample_id, row.recording, peak, row.label]
        table.writerow([*start, *shares, row.source, row.annotator, row.when])
    write_text(path, buffer.getvalue())


def read_csv(path: Path, classes: Sequence[str]) -> list[LabelRow]:
    """Read labels; a row without a label and without probabilities says nothing and is left out.

    Needed are `label` or all of `p_*`, and `sample_id` or `recording` and `peak_s`.

    Raises
    ------
    DataError
        With the row that cannot be read.
    """
    lines = csv.DictReader(io.StringIO(read_text(path)))
    named = set(lines.fieldnames or ())
    shares = [f"p_{name}" for name in classes]
    if not ({"label"} <= named or set(shares) <= named):
        raise DataError(
            f"labels '{path}': no column label; expected {', '.join(COLUMNS[:4])}, with commas "
            "between. Save it as CSV with a header."
        )
    try:
        return [
            _row(path, f"row {place}", line, shares)
            for place, line in enumerate(lines, start=2)
            if any((line.get(name) or "").strip() for name in ("label", *shares))
        ]
    except csv.Error as error:
        raise DataError(f"labels '{path}': not CSV ({error}). Save it again.") from error


def _row(path: Path, where: str, line: Mapping[str, str | None], shares: list[str]) -> LabelRow:
    def cell(name: str) -> str:
        return (line.get(name) or "").strip()

    what = f"labels '{path}' {where}"
    given = [cell(name) for name in shares]
    sample = number(what, "sample_id", cell("sample_id"), whole=True)
    return LabelRow(
        where=where,
        sample_id=None if sample is None else int(sample),
        label=cell("label").lower(),
        recording=cell("recording"),
        peak_s=number(what, "peak_s", cell("peak_s")),
        probabilities=tuple(share(what, each) for each in given) if any(given) else None,
        source=cell("source"),
        annotator=cell("annotator"),
        when=cell("when"),
    )

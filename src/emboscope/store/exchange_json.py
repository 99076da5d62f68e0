"""Labels as JSON: what the CSV holds, with the classes and the version of the format."""

import json
from collections.abc import Sequence
from pathlib import Path

from emboscope.errors import DataError
from emboscope.store.exchange import LabelRow
from emboscope.store.exchange_files import number, read_json, share, write_text

FORMAT_VERSION = 1
NOTICE = "Research use only. Not a medical device."


def write_labels(path: Path, rows: Sequence[LabelRow], classes: Sequence[str]) -> None:
    """Write `{format_version, notice, classes, labels: [{sample_id, recording, ...}]}`."""
    labels = [
        {
            "sample_id": row.sample_id,
            "recording": row.recording,
            "peak_s": row.peak_s,
            "label": row.label,
            "probabilities": row.probabilities,
            "source": row.source,
            "annotator": row.annotator,
            "when": row.when,
        }
        for row in rows
    ]
    content = {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "classes": list(classes),
        "labels": labels,
    }
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_labels(path: Path, classes: Sequence[str]) -> list[LabelRow]:
    """Read labels; probabilities are in the order of the classes that the file names.

    Raises
    ------
    DataError
        If it is no such file, or with the label that cannot be read.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("labels"), list):
        raise DataError(
            f"labels '{path}': no list of labels in it; expected what emboscope labels STUDY "
            "export writes. For Label Studio pass --format label_studio."
        )
    if content.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"labels '{path}': format_version {content.get('format_version')}; expected "
            f"{FORMAT_VERSION}. Read it with the version of emboscope that wrote it."
        )
    named = content.get("classes", list(classes))
    if not isinstance(named, list) or set(map(str, named)) != set(classes):
        raise DataError(
            f"labels '{path}': classes {named}; expected {', '.join(classes)}, in any order."
        )
    order = [named.index(name) for name in classes]
    return [
        _row(f"labels '{path}'", f"label {place}", each, order)
        for place, each in enumerate(content["labels"], start=1)
    ]


def _row(file: str, where: str, each: object, order: list[int]) -> LabelRow:
    what = f"{file} {where}"
    if not isinstance(each, dict):
        raise DataError(f"{what}: expected an object with sample_id and label.")
    shares = each.get("probabilities")
    if shares is not None:
        if not isinstance(shares, list) or len(shares) != len(order):
            raise DataError(f"{what}: probabilities {shares}; expected {len(order)} numbers.")
        shares = tuple(share(what, shares[place]) for place in order)
    sample = number(what, "sample_id", each.get("sample_id"), whole=True)
    return LabelRow(
        where=where,
        sample_id=None if sample is None else int(sample),
        label=str(each.get("label") or ""),
        recording=str(each.get("recording") or ""),
        peak_s=number(what, "peak_s", each.get("peak_s")),
        probabilities=shares,
        source=str(each.get("source") or ""),
        annotator=str(each.get("annotator") or ""),
        when=str(each.get("when") or ""),
    )

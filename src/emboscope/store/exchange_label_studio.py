"""Labels as tasks of Label Studio: single choices of people, predictions with a score.

Label Studio knows one choice, no distribution: a soft label becomes its most likely class, and one
without such a class `unknown`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from emboscope.errors import DataError
from emboscope.store.exchange import LabelRow
from emboscope.store.exchange_files import number, read_json, write_text
from emboscope.store.labels import COMPUTED

CONTROL, OBJECT = "label", "signal"  # names of the choice and of what is judged


def write_tasks(path: Path, rows: Sequence[LabelRow], classes: Sequence[str]) -> None:
    """Write a task a sample: what people said as annotations, what was computed as predictions.

    A row without a label is a task that waits for one.
    """
    tasks: dict[int | None, dict] = {}
    for row in rows:
        data = {"sample_id": row.sample_id, "recording": row.recording, "peak_s": row.peak_s}
        empty: dict[str, object] = {
            "id": row.sample_id,
            "data": data,
            "annotations": [],
            "predictions": [],
        }
        task = tasks.setdefault(row.sample_id, empty)
        if not row.label:
            continue
        result = [{
            "from_name": CONTROL, "to_name": OBJECT, "type": "choices",
            "value": {"choices": [row.label]},
        }]  # fmt: skip
        if row.source in COMPUTED:
            score = max(row.probabilities or (1.0,))
            said = {"model_version": row.source, "score": score, "result": result}
            task["predictions"].append(said)
        else:
            said = {"completed_by": row.annotator, "created_at": row.when, "result": result}
            task["annotations"].append(said)
    write_text(path, json.dumps(list(tasks.values()), indent=1, ensure_ascii=False) + "\n")


def read_tasks(path: Path, classes: Sequence[str]) -> list[LabelRow]:
    """Read the annotations of tasks; predictions, and what was canceled, are left out.

    `data` of a task names the sample: `sample_id`, or `recording` and `peak_s`. There may be
    several annotations in a task; the last of each annotator holds. A person is named by the id
    alone.

    Raises
    ------
    DataError
        If it is no list of tasks, or with the task that is no single choice.
    """
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise DataError(
            f"labels '{path}': no list of tasks; expected the JSON export of Label Studio."
        )
    return [
        row
        for place, task in enumerate(tasks, start=1)
        for row in _rows(f"labels '{path}'", f"task {place}", task)
    ]


def _rows(file: str, where: str, task: object) -> Iterator[LabelRow]:
    what = f"{file} {where}"
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise DataError(f"{what}: no data; expected sample_id in it. Export tasks as JSON.")
    data = task["data"]
    sample = number(what, "sample_id", data.get("sample_id"), whole=True)
    said = task.get("annotations") or task.get("completions") or []
    if not isinstance(said, list):
        raise DataError(f"{what}: annotations are no list. Export tasks as JSON, not JSON-MIN.")
    for each in said:
        if not isinstance(each, dict):
            raise DataError(f"{what}: an annotation is no object. Export tasks as JSON.")
        if each.get("was_cancelled") or not each.get("result"):
            continue
        yield LabelRow(
            where=where,
            sample_id=None if sample is None else int(sample),
            label=_choice(what, each["result"]),
            recording=str(data.get("recording") or ""),
            peak_s=number(what, "peak_s", data.get("peak_s")),
            annotator=_who(each.get("completed_by")),
            when=str(each.get("created_at") or ""),
        )


def _choice(what: str, result: object) -> str:
    """The one choice of an annotation."""
    parts = [each for each in result if isinstance(each, dict)] if isinstance(result, list) else []
    chosen = [
        choice
        for each in parts
        if each.get("type") == "choices" and isinstance(each.get("value"), dict)
        for choice in each["value"].get("choices") or ()
    ]
    if len(chosen) != 1:
        raise DataError(
            f"{what}: {len(chosen)} choices; expected one. Use a single-choice control."
        )
    return str(chosen[0]).strip().lower()


def _who(person: object) -> str:
    """A person by the id: an address would name them."""
    if isinstance(person, dict):
        person = person.get("id")
    return "" if person is None else str(person)

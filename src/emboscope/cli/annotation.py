"""Commands of semi-automatic annotation: from recordings to labels in a study folder."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    CarrierMhz,
    QSign,
    Quiet,
    Recordings,
    Seed,
    command,
    print_json,
    print_table,
    progress_of,
)
from emboscope.errors import SettingsError
from emboscope.registry import Registry

if TYPE_CHECKING:
    from emboscope.workflows.ingest import IngestResult
    from emboscope.workflows.labels import LabelCount

StudyFolder = Annotated[Path, typer.Argument(help="Folder of the study.")]


@command
def ingest(
    study: StudyFolder,
    recordings: Recordings,
    carrier_mhz: CarrierMhz = None,
    q_sign: QSign = "auto",
    threshold_db: Annotated[
        float, typer.Option(help="HITS-to-blood ratio of a candidate.", min=3, max=12)
    ] = 3.0,
    pseudonym_key: Annotated[
        Path | None,
        typer.Option(help="Key of the pseudonyms, outside the study; STUDY.key if not named."),
    ] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the patients that is kept for the test.")
    ] = 0.25,
    test_subjects: Annotated[
        str | None, typer.Option(help="Choose the test patients instead: names, by commas.")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the samples into the study, without headers.")
    ] = False,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth",
            help="For simulated recordings only: their raters become three annotators.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look only; write nothing.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring recordings into a study, which is made if missing. Repeated, it goes on.

    Names become pseudonyms, candidates become samples. Test patients are drawn once.

    Example: emboscope ingest study recordings --carrier-mhz 2 --pseudonym-key ~/study.key
    """
    from emboscope.workflows.ingest import IngestOptions, scan_options
    from emboscope.workflows.ingest import ingest as run

    chosen = None
    if test_subjects is not None:
        chosen = tuple(name.strip() for name in test_subjects.split(",") if name.strip())
    options = IngestOptions(
        scan=scan_options(carrier_mhz, q_sign, threshold_db),
        key=pseudonym_key,
        test_share=test_share,
        seed=seed,
        test_subjects=chosen,
        copy=copy,
        truth=truth,
        dry_run=dry_run,
    )
    result = run(study, recordings, options, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
    _print_ingested(result)


def _print_ingested(result: "IngestResult") -> None:
    """A line a recording."""
    print_table(
        "Recordings",
        ["recording", "patient", "part", "minutes", "samples", "what", "note"],
        [
            [row.name or "–", row.subject or "–", row.split or "–",
             "–" if row.minutes != row.minutes else f"{row.minutes:.2f}", str(row.samples),
             row.status, ", ".join(row.flags)]
            for row in result.rows
        ],
    )  # fmt: skip
    typer.echo(
        f"{result.study}: {result.samples} samples of {result.subjects} patients, "
        f"{result.test_subjects} of them kept for the test."
        + (" Nothing was written." if result.dry_run else "")
    )


@dataclass(frozen=True)
class LabelRequest:
    """What `labels` was asked for."""

    study: Path
    file: Path | None
    form: str | None
    annotator: str | None
    merged: bool
    unlabeled: bool
    batch: str | None
    last: int
    dry_run: bool
    seed: int
    as_json: bool

    def named_file(self) -> Path:
        """The file; SettingsError without one."""
        if self.file is None:
            raise SettingsError("labels: no file; expected STUDY import FILE or export FILE.")
        return self.file


ACTIONS: Registry[Callable[[LabelRequest], None]] = Registry("action")


@command
def labels(
    study: StudyFolder,
    action: Annotated[
        str, typer.Argument(help="import or export FILE; log; undo: the last batch; agreement.")
    ],
    file: Annotated[Path | None, typer.Argument(help="CSV, JSON or HDF5.")] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="csv, json, label_studio or hits_hdf5; by the suffix otherwise."
        ),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option(help="Import: who said it, in place of the file's. Else: of whom alone."),
    ] = None,
    merged: Annotated[
        bool, typer.Option("--merged", help="Export one row a sample, the mean of all.")
    ] = False,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="Export the samples without a label, to fill in.")
    ] = False,
    batch: Annotated[str | None, typer.Option(help="Undo this batch, not the last.")] = None,
    last: Annotated[int, typer.Option(help="Entries of the log.", min=1)] = 20,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only; write nothing.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Import and export labels, read their log, undo a batch, see how annotators agree.

    Example: emboscope labels study export labels.csv
    """
    request = LabelRequest(
        study, file, form, annotator, merged, unlabeled, batch, last, dry_run, seed, as_json
    )
    ACTIONS[action](request)


def _import(request: LabelRequest) -> None:
    from emboscope.workflows.labels import import_labels

    count = import_labels(
        request.study, request.named_file(), request.form, request.annotator, request.dry_run
    )
    _print_count(count, "would be imported" if count.dry_run else "imported", request)


def _export(request: LabelRequest) -> None:
    from emboscope.workflows.labels import export_labels

    count = export_labels(
        request.study, request.named_file(), request.form, request.annotator, request.merged,
        request.unlabeled, request.dry_run,
    )  # fmt: skip
    _print_count(count, "would be exported" if count.dry_run else "exported", request)


def _undo(request: LabelRequest) -> None:
    from emboscope.workflows.labels import undo_labels

    count = undo_labels(request.study, request.batch, request.annotator, request.dry_run)
    _print_count(count, "would be taken back" if count.dry_run else "taken back", request)


def _log(request: LabelRequest) -> None:
    from emboscope.workflows.labels import read_log

    entries = read_log(request.study, request.last, request.annotator)
    if request.as_json:
        print_json({"log": [asdict(entry) for entry in entries]})
        return
    print_table(
        f"The last {len(entries)} labels",
        ["number", "when (UTC)", "sample", "annotator", "source", "label", "batch", "comment"],
        [
            [str(entry.number), entry.when[:19].replace("T", " "), str(entry.sample_id),
             entry.annotator, entry.source, entry.label, entry.batch, entry.comment]
            for entry in entries
        ],
    )  # fmt: skip


def _agreement(request: LabelRequest) -> None:
    from emboscope.workflows.agreement import study_agreement

    found = study_agreement(request.study, request.seed)
    if request.as_json:
        print_json(asdict(found))
        return
    low, high = found.alpha_interval
    print_table(
        f"{len(found.annotators)} annotators, {found.samples} samples with two labels or more",
        ["annotators", "samples", "measure", "value"],
        [
            ["all", str(found.samples), "Krippendorff α", _figure(found.alpha)],
            ["all", str(found.kappa_samples), "Fleiss κ", _figure(found.kappa)],
            *([" and ".join(pair.annotators), str(pair.samples), "Cohen κ", _figure(pair.kappa)]
              for pair in found.pairs),
            *(["all", str(found.samples), f"specific agreement, {name}", _figure(value)]
              for name, value in found.specific.items()),
        ],
    )  # fmt: skip
    words = ", ".join(f"{name} {n}" for name, n in found.consensus.items())
    skill = ", ".join(f"{name} {_figure(value)}" for name, value in found.reliability.items())
    typer.echo(
        f"95 % interval of α over patients: {_figure(low)} to {_figure(high)}. "
        f"Disputed: {found.disputed}.\n"
        f"Consensus (Dawid and Skene): {words}. How often each says the same: {skill}."
    )


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _print_count(count: "LabelCount", what: str, request: LabelRequest) -> None:
    """How many, by label and annotator."""
    if request.as_json:
        print_json(asdict(count))
        return
    by_label = ", ".join(f"{name} {n}" for name, n in count.by_label.items()) or "none"
    by_person = ", ".join(f"{name} {n}" for name, n in count.by_annotator.items()) or "nobody"
    where = f" {count.file}" if count.file else ""
    batch = f" Batch: {count.batch}." if count.batch else ""
    typer.echo(
        f"{count.labels} labels of {count.samples} samples {what}{where}: {by_label}; "
        f"by {by_person}.{batch}"
    )


ACTIONS["import"] = _import
ACTIONS["export"] = _export
ACTIONS["log"] = _log
ACTIONS["undo"] = _undo
ACTIONS["agreement"] = _agreement

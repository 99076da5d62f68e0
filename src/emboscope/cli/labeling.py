"""Commands that let few labels go far: map, propagate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emboscope.cli.annotation import StudyFolder
from emboscope.cli.console import (
    AsJson,
    Quiet,
    Threads,
    command,
    percent,
    print_json,
    print_table,
    progress_of,
)

if TYPE_CHECKING:
    from emboscope.workflows.propagate_study import PropagateResult


@command
def map(
    study: StudyFolder,
    features: Annotated[
        str, typer.Option(help="measures (by hand), or autoencoder, variational, contrastive, …")
    ] = "measures",
    projection: Annotated[str, typer.Option(help="tsne, umap or pca.")] = "tsne",
    grid: Annotated[
        str, typer.Option(help="one, small, mnist (27 maps) or organ (400).")
    ] = "small",
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw the training patients' samples on maps, choose one, and say what it is worth.

    Example: emboscope map study
    """
    from emboscope.workflows.map_study import MapStudySettings, map_study

    settings = MapStudySettings.parse(
        {"features": features, "projection": projection, "grid": grid}, "map"
    )
    result = map_study(study, settings, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
    print_table(
        f"{result.samples} samples of training patients, {result.labeled} labeled by people",
        ["map", result.criterion.replace("_", " "), ""],
        [
            [str(index), f"{score:.3f}", "chosen" if index == result.chosen else ""]
            for index, score in enumerate(result.scores)
        ],
    )
    for finding in result.findings:
        typer.echo(f"{finding.name}: {finding.verdict}. {finding.sentence}")
    typer.echo("Pictures: " + ", ".join(result.pictures))
    label = f"emboscope labels {study} export FILE.csv --unlabeled; fill it in, import it"
    typer.echo(f"Next: {f'emboscope propagate {study} --dry-run' if result.labeled else label}")


@command
def propagate(
    study: StudyFolder,
    method: Annotated[
        str, typer.Option(help="lq_knn, std_knn, opf_semi, minimax_forest or spreading.")
    ] = "lq_knn",
    k: Annotated[int, typer.Option(help="Neighbors to which a sample offers its label.")] = 10,
    threshold: Annotated[
        float, typer.Option(help="Local quality above which a sample gives and takes labels.")
    ] = 0.1,
    target_error: Annotated[
        float, typer.Option(help="Share of wrong labels that the recommended pair may have.")
    ] = 0.1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what may be expected; write no label.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Let the labels that people gave spread over the map; `labels undo` takes it back.

    Example: emboscope propagate study --dry-run
    """
    from emboscope.workflows.propagate_study import PropagateSettings, propagate_study

    settings = PropagateSettings.parse(
        {"method": method, "k": k, "threshold": threshold, "target_error": target_error},
        "propagate",
    )
    result = propagate_study(study, settings, dry_run, progress_of(quiet, as_json))
    if as_json:
        print_json(asdict(result))
        return
    _print_propagated(study, result, dry_run)


def _print_propagated(study: Path, result: "PropagateResult", dry_run: bool) -> None:
    """What may be expected, and what came of it."""
    if result.cells:
        print_table(
            "Expected, from labels that were hidden (95 % interval)",
            ["K", "τ", "wrong, %", "interval", "labeled, %"],
            [
                [str(cell.k), f"{cell.threshold:g}", percent(cell.error),
                 " – ".join(percent(end) for end in cell.error_interval), percent(cell.coverage)]
                for cell in result.cells
            ],
        )  # fmt: skip
    for doubt in result.doubts:
        typer.echo(f"Doubt: {doubt}")
    if result.recommended:
        typer.echo(f"Recommended: {result.recommended.sentence}")
    elif result.cells:
        typer.echo("No pair keeps the error so low. Label more samples, or raise --target-error.")
    names = ", ".join(f"{name} {count}" for name, count in result.by_class.items()) or "none"
    what = "would get a label" if dry_run else "got a label"
    typer.echo(
        f"{result.method}: {result.given} labels of people; {result.new} samples {what} ({names}); "
        f"{result.unlabeled} stay without."
    )
    typer.echo("Pictures: " + ", ".join(result.pictures))
    if result.batch:
        typer.echo(f"Batch {result.batch}. To take it back: emboscope labels {study} undo")

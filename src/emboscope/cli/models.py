"""Commands on models: train, evaluate, compress, export."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emboscope.cli.console import (
    AsJson,
    Quiet,
    Threads,
    command,
    print_json,
    print_table,
    progress_of,
)

if TYPE_CHECKING:
    from emboscope.workflows.evaluate import EvaluateResult
    from emboscope.workflows.study import Own
    from emboscope.workflows.threshold_search import Trial

Data = Annotated[str, typer.Argument(help="esr, hits, or your own CSV or NPZ.")]
Sfreq = Annotated[float | None, typer.Option(help="Hz, for a file that does not say it.")]
LabelColumn = Annotated[str | None, typer.Option(help="Of a CSV; the last one otherwise.")]
GroupColumn = Annotated[str | None, typer.Option(help="Of a CSV: the patient of each row.")]


@command
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    model: Annotated[
        str | None, typer.Option(help="Name of the model; hybrid_late otherwise.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="patient, recording or row; what the data has otherwise.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Folds of the cross-validation; 5 otherwise.", min=2)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file of what differs from the defaults.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, for example epochs=30 or regularizers.dec=0.1."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="corrected, or the published settings: paper, released.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="That trains: cpu, cuda, mps or auto; cpu otherwise.")
    ] = None,
    sfreq: Sfreq = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    force: Annotated[bool, typer.Option(help="Train a finished run again.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of all that is random; 0 otherwise.", min=0)
    ] = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on each fold; repeat the command to go on after a stop.

    Example: emboscope train esr --split recording --folds 10 --out run-g
    """
    from emboscope.workflows.study import load, run_settings, run_views, set_threads
    from emboscope.workflows.study import train as run

    set_threads(threads)
    progress = progress_of(quiet, as_json)
    own = (sfreq, label_column, group_column)
    source = load(data, *own, progress)
    effective = run_settings(
        settings,
        tuple(changes or ()),
        {
            "model": model,
            "split": split,
            "folds": folds,
            "seed": seed,
            "profile": profile,
            "device": device,
        },
        source,
    )
    result = run(run_views(source, effective), out, effective, force, progress)
    if as_json:
        print_json(asdict(result))
        return
    rows = [[str(n), f"{100 * value:.2f}"] for n, value in enumerate(result.validation_mcc)]
    print_table(
        f"{effective.model} on {source.name}, validation parts", ["fold", "MCC × 100"], rows
    )
    if result.not_augmented:
        typer.echo(
            "Not augmented: the views cannot be made anew of an augmented waveform.", err=True
        )
    typer.echo(f"Run: {out}\nNext: emboscope evaluate {out}{_named(data, own)}")


def _named(data: str | None, own: "Own") -> str:
    """What names data of the user's own on the next command line."""
    if data is None or not Path(data).exists():
        return ""
    names = ("--sfreq", "--label-column", "--group-column")
    given = [(name, str(each)) for name, each in zip(names, own, strict=True) if each is not None]
    return " " + shlex.join(["--on", data, *(part for pair in given for part in pair)])


def _show_search(trials: "list[Trial]", out: Path, as_json: bool) -> None:
    """The trials that none beats, by their zeros."""
    if as_json:
        print_json({"search": str(out), "trials": [asdict(trial) for trial in trials]})
        return
    best = sorted((each for each in trials if each.best), key=lambda each: each.sparsity)
    print_table(
        f"{len(trials)} pairs of thresholds: those that none beats",
        ["t_min", "t_max", "MCC, validation", "zeros %", "CR_G %"],
        [
            [f"{each.t_min:.2f}", f"{each.t_max:.2f}", f"{100 * each.validation_mcc:.2f}",
             f"{100 * each.sparsity:.1f}", f"{100 * each.gain:.1f}"]
            for each in best
        ],
    )  # fmt: skip
    typer.echo(f"Trials: {out / 'trials.csv'}, {out / 'tradeoff.png'}")


@command
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    on: Annotated[
        str | None, typer.Option(help="The data, where it is a file; else the run knows.")
    ] = None,
    sfreq: Sfreq = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    figures: Annotated[bool, typer.Option(help="Draw what the model sees; weights too.")] = True,
    projection: Annotated[
        str, typer.Option(help="Of the latent spaces: tsne, umap (extra umap) or pca.")
    ] = "tsne",
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read the test parts of a run once, beside gradient boosting on the same folds.

    Example: emboscope evaluate run-g
    """
    from emboscope.workflows.study import drawn_weights, latent_picture, run_data, set_threads
    from emboscope.workflows.study import evaluate as run_evaluate

    set_threads(threads)
    progress = progress_of(quiet, as_json)
    data = run_data(run, on, (sfreq, label_column, group_column), progress)
    result = run_evaluate(run, data, progress, figures, projection)
    weights = drawn_weights(run)
    if as_json:
        print_json({**asdict(result), "weights": weights})
        return
    _print_result(result)
    _print_weights(weights)
    pictures = run / "figures"
    if pictures.is_dir():
        typer.echo(f"Pictures: {pictures}")
        if figures and not latent_picture(run, projection).is_file():
            typer.echo(f"Not drawn by {projection}: that needs the data. Name it with --on.")


def _print_result(result: "EvaluateResult") -> None:
    """Fold by fold, then means with intervals."""
    note = f" ({result.note})" if result.note else ""
    names = list(result.scores)
    folds = zip(*(result.scores[name]["mcc"].values for name in names), strict=True)
    print_table(
        f"{result.data}, split by {result.split}{note}: MCC × 100 of each test part",
        ["fold", *names, "difference"],
        [
            [str(n), *(f"{100 * value:.2f}" for value in row), f"{100 * (row[0] - row[1]):+.2f}"]
            for n, row in enumerate(folds)
        ],
    )
    rows = [
        [metric.replace("_", " "), *(_estimate(result.scores[name][metric]) for name in names)]
        for metric in result.scores[names[0]]
    ]
    rows.append(["MCC difference", _estimate(result.difference), ""])
    print_table("Mean and 95 % interval, × 100", ["score", *names], rows)
    if result.calibration:
        print_table(
            f"How far {result.model} can be trusted, × 100",
            ["", "mean and 95 % interval"],
            [
                [name.replace("_", " "), _estimate(each)]
                for name, each in result.calibration.items()
            ],
        )
    if result.stored:
        typer.echo("These figures were stored: the test parts were read once before.")


def _print_weights(weights: "list[dict[str, str | float]]") -> None:
    """Weights of a fusion: classes by members; nothing of a model without."""
    if not weights:
        return
    cells = {(str(line["class"]), str(line["member"])): _weight(line) for line in weights}
    members = list(dict.fromkeys(member for _, member in cells))
    rows = [
        [name, *(cells[name, member] for member in members)]
        for name in dict.fromkeys(name for name, _ in cells)
    ]
    print_table("Weights of the fusion, mean and 2.5 to 97.5 %", ["class", *members], rows)


def _weight(line: "dict[str, str | float]") -> str:
    mean, low, high = (line[name] for name in ("mean", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _estimate(estimate: object) -> str:
    mean, (low, high) = estimate.mean, estimate.interval  # type: ignore[attr-defined]
    return f"{100 * mean:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


@command
def compress(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder of the compressed run.")],
    method: Annotated[
        str | None, typer.Option(help="How to quantize: pttq, int8, …; ttq otherwise.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, for example t_max=1.5 or training.epochs=20."),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(help="Try so many pairs of thresholds, of pttq otherwise.", min=1),
    ] = None,
    on: Annotated[str | None, typer.Option(help="The data, where it is a file.")] = None,
    sfreq: Sfreq = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    threads: Threads = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Give a run's models weights of fewer bits, and fine-tune them.

    Example: emboscope compress run-g --method ttq --out run-t
    """
    from emboscope.workflows.study import (
        compress_run,
        compress_settings,
        run_data,
        set_threads,
    )

    set_threads(threads)
    progress = progress_of(quiet, as_json)
    if method is None and search is not None:
        method = "pttq"  # the default has no thresholds to search
    effective = compress_settings(method, tuple(changes or ()))
    own = (sfreq, label_column, group_column)
    data = run_data(run, on, own, progress)
    if search is not None:
        from emboscope.workflows.threshold_search import search_thresholds

        _show_search(search_thresholds(run, out, data, effective, search, progress), out, as_json)
        return
    costs = compress_run(run, out, data, effective, progress)
    if as_json:
        print_json({"run": str(out), "folds": costs})
        return
    print_table(
        f"{effective.method}: size of each model",
        ["fold", "before, kB", "after, kB", "ratio", "zeros %"],
        [
            [str(n), f"{cost['bits_before'] / 8000:.1f}", f"{cost['bits'] / 8000:.1f}",
             f"{cost['bits_before'] / cost['bits']:.1f} ×", f"{100 * cost['sparsity']:.1f}"]
            for n, cost in enumerate(costs)
        ],
    )  # fmt: skip
    typer.echo(f"Run: {out}\nNext: emboscope evaluate {out}{_named(on, own)}")


@command
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder of the export.")],
    targets: Annotated[
        list[str] | None,
        typer.Option("--target", help="Format: onnx or c; onnx otherwise. Repeat it for both."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Of ONNX: float, int8 or ternary (in two bits).")
    ] = "float",
    front_end: Annotated[
        bool, typer.Option("--front-end", help="Make the views inside, of the signal.")
    ] = False,
    integer: Annotated[
        bool, typer.Option("--integer", help="C with activations in whole numbers of 8 bits.")
    ] = False,
    calibration: Annotated[
        str,
        typer.Option(help="Ranges of int8 and whole numbers: training, or simulated (no data)."),
    ] = "training",
    fold: Annotated[int, typer.Option(help="Which of the run's models.", min=0)] = 0,
    on: Annotated[
        str | None,
        typer.Option(help="Data to check with, of the run; calibration by training needs it."),
    ] = None,
    sfreq: Sfreq = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a model as ONNX or as C, and prove that it is the same.

    Example: emboscope export run-t --target c --target onnx --weights ternary --out export
    """
    from emboscope.workflows.study import export_data, export_fold, export_form

    wanted = targets or ["onnx"]
    form = export_form(wanted, weights, front_end, integer, calibration)
    own = (sfreq, label_column, group_column)
    progress = progress_of(quiet, as_json)
    data = export_data(run, on, own, form, progress)
    result = export_fold(run, out, wanted, fold, form, data, progress)
    if as_json:
        print_json(result)
        return
    print_table("Export", ["item", "value"], [[key, str(value)] for key, value in result.items()])

"""The report of the demo: pictures of each stage, and how they were made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.annotation.figures import AnnotationFigures
from emboscope.compression.cost import Cost
from emboscope.evaluation.statistics import Estimate
from emboscope.events.event import Event
from emboscope.report import figures as draw
from emboscope.report.html import Figure, Report, Section, Table, render
from emboscope.signal.doppler import velocity
from emboscope.signal.readers import open_source
from emboscope.signal.spectrum import HighPass, decibel, stft
from emboscope.workflows.annotate import Annotation
from emboscope.workflows.files import NOTICE, read_events_csv, versions, write_text
from emboscope.workflows.scan import ScanResult
from emboscope.workflows.score import ScoreResult

SHOWN_S = 6.0
MOST_RECORDINGS = 8


@dataclass(frozen=True)
class DemoFigures:
    """What each stage of the demo gave."""

    scanned: ScanResult
    scored: ScoreResult
    classes: tuple[str, ...]
    annotation: Annotation
    quality: Mapping[str, AnnotationFigures]
    scores: Mapping[str, Mapping[str, Estimate]]
    confusion: Mapping[str, np.ndarray]
    cost: Cost


def write_report(
    out: Path,
    figures: DemoFigures,
    check: dict,
    rows: tuple[tuple[str, str], ...],
    settings: dict,
) -> Path:
    """Write report.html."""
    report = Report(
        title="emboscope demo: from raw signal to a ternary model",
        summary=(
            "Simulated patients went through the whole chain. Every figure here is of simulated "
            "data and says nothing about real patients."
        ),
        notice=NOTICE,
        sections=(
            Section("Summary", tables=(Table(("figure", "value"), rows),)),
            _events_section(out, figures),
            _annotation_section(figures),
            _models_section(figures),
            _device_section(figures, check),
        ),
        provenance=(
            *((name, value) for name, value in versions().items()),
            ("settings", json.dumps(settings)),
        ),
    )
    path = out / "report.html"
    write_text(path, render(report))
    return path


def excerpt(recording: Path, events: list[Event], title: str) -> bytes:
    """Six seconds around the strongest embolus, or the first event, or from the start."""
    source = open_source(recording)
    emboli = [event for event in events if event.verdict == "embolus"] or events
    middle = max(emboli, key=lambda event: event.hbr_db).peak_s if emboli else SHOWN_S / 2
    start = int(max(0, (middle - SHOWN_S / 2) * source.sfreq))
    stop = min(source.n_times, start + int(SHOWN_S * source.sfreq))
    filtered = HighPass(source.sfreq)(source.read(start, stop)[0])
    spectrum = stft(filtered, source.sfreq, 128, 24, 256)
    vertical, unit = spectrum.freqs, "Hz"
    if source.carrier_hz:
        vertical = np.asarray(velocity(spectrum.freqs, source.carrier_hz, source.angle_deg))
        unit = "cm/s"
    times = spectrum.times + start / source.sfreq
    return draw.spectrogram_figure(decibel(spectrum.power), times, vertical, unit, events, title)


def _events_section(out: Path, figures: DemoFigures) -> Section:
    pictures = []
    for row in figures.scanned.rows[:MOST_RECORDINGS]:
        events = read_events_csv(Path(row.events_file))
        counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in row.counts.items())
        title = f"{row.name}: {row.duration_s / 60:g} min, {counts or 'no events'}"
        picture = excerpt(out / "recordings" / f"{row.name}.wav", events, title)
        pictures.append(Figure(picture, f"{row.name}, {SHOWN_S:g} s around its strongest event."))
    total = figures.scored.total
    bands = tuple(
        (
            f"{low:g} to {high:g} dB" if high < 100 else f"over {low:g} dB",
            str(n),
            str(found),
            f"{100 * found / n:.0f} %" if n else "–",
        )
        for low, high, found, n in total.score.by_band
    )
    return Section(
        "Events",
        (
            f"{total.score.hits} of {total.score.hits + total.score.misses} emboli found, "
            f"{total.score.false} false in {total.score.evaluable_h:.2f} evaluable hours; events "
            f"are matched one to one within ±{figures.scored.tolerance_ms:g} ms."
        ),
        (Table(("embolus to blood", "true", "found", "sensitivity"), bands),),
        tuple(pictures),
    )


def _annotation_section(figures: DemoFigures) -> Section:
    annotation = figures.annotation
    rows = tuple(
        (
            name,
            str(each.n_given),
            str(each.n_new),
            f"{100 * each.accuracy:.1f}",
            f"{100 * each.coverage:.1f}",
            f"{100 * each.net_yield:.1f}",
        )
        for name, each in figures.quality.items()
    )
    scores = ", ".join(f"{score:.3f}" for score in annotation.choice.scores)
    picture = draw.map_figure(
        annotation.points,
        annotation.labels,
        figures.classes,
        annotation.quality,
        annotation.asked,
    )
    return Section(
        "Annotation",
        (
            f"Of three t-SNE maps the one with the best {annotation.choice.criterion} of the "
            f"labelled samples was kept (scores {scores}). The expert is the majority of three "
            "simulated raters; accuracy is against the truth of the simulation."
        ),
        (
            Table(
                ("method", "asked", "new labels", "accuracy %", "coverage %", "net yield %"), rows
            ),
        ),
        (Figure(picture, "The map of the training patients' events."),),
    )


def _models_section(figures: DemoFigures) -> Section:
    metrics = next(iter(figures.scores.values()))
    rows = tuple(
        (
            metric.replace("_", " "),
            *(
                f"{100 * own[metric].mean:.1f} [{100 * own[metric].interval[0]:.1f}, "
                f"{100 * own[metric].interval[1]:.1f}]"
                for own in figures.scores.values()
            ),
        )
        for metric in metrics
    )
    return Section(
        "Models on the test patients",
        (
            "Hybrid of a 2-D CNN on the spectrogram and a 1-D CNN on the signal, late fusion. "
            "Four patients that no stage saw before; × 100, with 95 % intervals from a bootstrap "
            "over patients, which with four patients is wide."
        ),
        (Table(("score", *figures.scores), rows),),
        (
            Figure(draw.scores_figure(figures.scores), "Scores on the test patients."),
            Figure(
                draw.confusion_figure(figures.confusion, figures.classes),
                "Confusion before and after compression.",
            ),
        ),
    )


def _device_section(figures: DemoFigures, check: dict) -> Section:
    size = figures.cost
    layers = tuple(
        (layer.name, str(layer.n_weights), str(layer.n_zeros), layer.encoding,
         f"{layer.bits / 8000:.2f}")
        for layer in size.layers
    )  # fmt: skip
    picture = draw.size_figure({"full precision": size.bits_before, "ternary": size.bits})
    return Section(
        "For the device",
        (
            f"Trained ternary weights: {100 * size.gain:.1f} % smaller, {100 * size.sparsity:.0f} "
            f"% zeros. The ONNX model was run beside PyTorch on {check['n_inputs']} inputs; the "
            f"largest difference of a probability is {check['largest_difference']:.1e}."
        ),
        (Table(("ternary layer", "weights", "zeros", "encoding", "kB"), layers),),
        (Figure(picture, "All weights, before and after."),),
    )

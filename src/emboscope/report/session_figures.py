"""Pictures of a session: its events in time, their rate, strength and length, and each event.

Classes differ by color, place and mark, so that none is told by color alone.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from emboscope.evaluation.poisson import RateBin
from emboscope.events.event import VERDICTS, Event
from emboscope.report.figures import COLORS, new_figure, png, small_png
from emboscope.report.session import Monitoring
from emboscope.report.showers import Shower
from emboscope.report.wording import Wording

CLASS_COLORS = {
    "embolus": COLORS[6],
    "doubtful": COLORS[2],
    "artifact": COLORS[0],
    "too_long": COLORS[7],
}
TIME_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
SHOWN_DB = (-10.0, 30.0)  # over the blood flow around the event
ONE_COLOR_A_DB = colormaps["inferno"].resampled(40)
BAR = "#D9DEE5"


def _time_axis(axes: Axes, duration_s: float, words: Wording) -> float:
    """Label the time axis in a unit that suits the length; seconds in that unit."""
    unit_s, unit = next(
        (seconds, name) for seconds, name in TIME_UNITS if duration_s >= 3 * seconds or seconds == 1
    )
    axes.set_xlim(0, duration_s / unit_s)
    axes.set_xlabel(words.say("time since the start ({unit})").format(unit=unit))
    _decimals(axes, words)
    return unit_s


def _decimals(axes: Axes, words: Wording) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: words.number(value, 0 if value == round(value) else 1))
        )


def timeline_figure(session: Monitoring, found: Sequence[Shower], words: Wording) -> bytes:
    """All events, one row a verdict; unusable stretches hatched, showers boxed."""
    figure = new_figure(9, 2.2)
    axes = figure.subplots()
    unit_s = _time_axis(axes, session.duration_s, words)
    for start, stop, _ in session.unusable or ():
        axes.axvspan(start / unit_s, stop / unit_s, fc=BAR, ec="#7A8594", hatch="////", lw=0)
    for row, verdict in enumerate(reversed(VERDICTS)):
        times = [event.peak_s / unit_s for event in session.events if event.verdict == verdict]
        axes.eventplot(
            times, lineoffsets=row, linelengths=0.7, linewidths=1.6, colors=CLASS_COLORS[verdict]
        )
    for shower in found:
        width = (shower.stop_s - shower.start_s) / unit_s
        pad = 0.004 * session.duration_s / unit_s
        axes.add_patch(
            Rectangle(
                (shower.start_s / unit_s - pad, 2.55), width + 2 * pad, 0.9, fill=False, lw=1.2
            )
        )
    names = [words.name(verdict) for verdict in reversed(VERDICTS)]
    axes.set_yticks(range(len(VERDICTS)), names)
    axes.set_ylim(-0.6, len(VERDICTS) - 0.4)
    axes.grid(axis="x", alpha=0.3)
    return png(figure)


def rate_figure(bins: Sequence[RateBin], duration_s: float, words: Wording) -> bytes:
    """Emboli an hour, bin by bin, with exact 95 % intervals; a gap where none could be seen."""
    figure = new_figure(9, 2.6)
    axes = figure.subplots()
    unit_s = _time_axis(axes, duration_s, words)
    known = [each for each in bins if each.hours > 0]
    left = np.array([each.start_s for each in known]) / unit_s
    width = np.array([each.stop_s - each.start_s for each in known]) / unit_s
    rates = np.array([each.rate for each in known]).reshape(-1, 3)
    axes.bar(left, rates[:, 0], width, align="edge", color=CLASS_COLORS["embolus"], ec="white")
    axes.errorbar(
        left + width / 2,
        rates[:, 0],
        yerr=np.abs(rates[:, 1:].T - rates[:, 0]),
        fmt="none",
        ecolor="black",
        elinewidth=0.9,
        capsize=2.5,
    )
    axes.set_ylabel(words.say("emboli per hour"))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", alpha=0.3)
    return png(figure)


def distributions_figure(events: Sequence[Event], words: Wording) -> bytes:
    """How strong and how long the events are, stacked by verdict."""
    figure = new_figure(9, 2.7)
    strength, length = figure.subplots(1, 2)
    hbr = {name: [e.hbr_db for e in events if e.verdict == name] for name in VERDICTS}
    spans = {name: [1000 * e.duration_s for e in events if e.verdict == name] for name in VERDICTS}
    strongest = max((event.hbr_db for event in events), default=0.0)
    _stacked(strength, hbr, np.arange(0, max(40.0, strongest) + 2.5, 2.5), words)
    limited = {name: np.minimum(values, 314.0) for name, values in spans.items()}
    _stacked(length, limited, np.arange(0, 316, 15.0), words)
    strength.set_xlabel(words.say("HBR (dB)"))
    length.set_xlabel(words.say("duration (ms); last bar: over 300 ms"))
    for axes in (strength, length):
        axes.set_ylabel(words.say("events"))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y", alpha=0.3)
    figure.legend(
        *strength.get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=8
    )
    return png(figure)


def _stacked(axes: Axes, values: dict, edges: np.ndarray, words: Wording) -> None:
    below = np.zeros(edges.size - 1)
    hatches = ("", "....", "////", "xxxx")
    for (name, own), hatch in zip(values.items(), hatches, strict=True):
        counts, _ = np.histogram(own, edges)
        axes.bar(
            edges[:-1], counts, np.diff(edges), below, align="edge", color=CLASS_COLORS[name],
            ec="white", hatch=hatch, lw=0.4, label=words.name(name),
        )  # fmt: skip
        below += counts
    axes.set_xlim(edges[0], edges[-1])


def event_figure(
    level_db: np.ndarray,
    times_s: np.ndarray,
    vertical: np.ndarray,
    unit: str,
    box: tuple[float, float, float, float] | None,
    words: Wording,
) -> bytes:
    """The signal around one event: its spectrogram, with its extent boxed.

    Parameters
    ----------
    level_db : ndarray, shape (n_freqs, n_frames)
        Over the blood flow around the event; shown from −10 to +30 dB.
    times_s : ndarray, shape (n_frames,)
        From the peak, in seconds.
    vertical : ndarray, shape (n_freqs,)
        Velocity or frequency of the rows, ascending.
    unit : str
        Of `vertical`: `cm/s` or `Hz`.
    box : tuple of float, or None
        First and last time, lowest and highest row value of the event; drawn a little around it,
        so that it stays in sight. None where its extent is not known.
    """
    figure = new_figure(3.6, 2.3, constrained=False)  # fixed places: forty are drawn
    axes = figure.add_axes((0.19, 0.18, 0.63, 0.78))
    image = axes.imshow(
        level_db, origin="lower", aspect="auto", cmap=ONE_COLOR_A_DB, vmin=SHOWN_DB[0],
        vmax=SHOWN_DB[1], interpolation="nearest",
        extent=(times_s[0], times_s[-1], vertical[0], vertical[-1]),
    )  # fmt: skip
    if box is not None:
        across, up = 0.015 * (times_s[-1] - times_s[0]), 0.025 * (vertical[-1] - vertical[0])
        corner = box[0] - across, box[2] - up
        size = box[1] - box[0] + 2 * across, box[3] - box[2] + 2 * up
        for color, width in (("black", 2.4), ("white", 1.1)):
            axes.add_patch(Rectangle(corner, *size, fill=False, ec=color, lw=width))
    axes.axhline(0, color="white", lw=0.6, alpha=0.7)
    if times_s[-1] - times_s[0] < 0.5:
        axes.xaxis.set_major_locator(MultipleLocator(0.1))  # the ticks have one decimal
    axes.set_xlabel(words.say("time from the peak (s)"), fontsize=8)
    quantity = words.say("frequency") if unit == "Hz" else words.say("velocity")
    axes.set_ylabel(f"{quantity} ({unit})", fontsize=8)
    axes.tick_params(labelsize=7)
    _decimals(axes, words)
    bar = figure.colorbar(image, cax=figure.add_axes((0.84, 0.18, 0.03, 0.78)))
    bar.set_label("dB", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return small_png(figure)

"""The parts of the report of a session, each a function of the session and the language."""

import statistics
from collections.abc import Sequence

from emboscope.evaluation.poisson import RateBin, exact_interval, rate_over_time
from emboscope.events.event import LABELS, VERDICTS, Event
from emboscope.report import session_figures as draw
from emboscope.report.html import Audio, Card, Facts, Figure, Section, Table
from emboscope.report.items import SOURCE, item_rows, item_text
from emboscope.report.session import UNSURE, EventPicture, Monitoring
from emboscope.report.showers import Shower, ShowerSettings, showers
from emboscope.report.wording import Wording

BINS_S = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0)
MOST_BINS = 12
MOST_ROWS = 40  # of a list of stretches
NAN = float("nan")
LARGEST_DIRECTION_DB = 39.95  # the measure ends at 40 dB


def identity(session: Monitoring, words: Wording) -> Section:
    """Who, what, where, how long, and how the blood flowed."""
    say, subject, speed = words.say, session.subject, session.velocities
    flow = words.name(session.flow_side) if session.flow_side else say("could not be told")
    facts: Facts = (
        (say("subject (pseudonym)"), words.name(subject.pseudonym)),
        (say("date"), words.name(subject.recorded_on)),
        (say("start"), words.name(subject.start)),
        (say("indication"), words.name(subject.indication)),
        (say("side"), words.name(subject.side)),
        (say("vessel"), item_text(session.items, "artery", words)),
        (say("depth"), item_text(session.items, "insonation_depth_mm", words)),
        (say("duration (h:mm:ss)"), words.clock(session.duration_s)),
        (say("evaluable (h:mm:ss)"), words.clock(3600 * session.evaluable_hours)),
        (say("flow"), flow),
        (say("mean velocity"), words.quantity(speed.mean, "cm/s")),
        (say("peak systolic velocity"), words.quantity(speed.psv, "cm/s")),
        (say("end-diastolic velocity"), words.quantity(speed.edv, "cm/s")),
        (say("pulsatility index"), words.quantity(speed.pi, "", 2)),
    )
    return Section(
        say("Subject and recording"), facts=facts, tables=(_unusable_table(session, words),)
    )


def _unusable_table(session: Monitoring, words: Wording) -> Table:
    say = words.say
    total = max(session.duration_s, 1e-9)
    seconds = session.unusable_s
    rows = [(words.name(reason), each) for reason, each in seconds.items()]
    rows.append((say("all"), sum(seconds.values())))
    caption = say("Time that could not be judged; it is not counted in any rate.")
    if session.unusable is None and seconds:
        caption += " " + say("The stretches themselves are not recorded.")
    return Table(
        (say("reason"), say("time (h:mm:ss)"), say("share of the recording")),
        tuple((name, words.clock(s), words.quantity(100 * s / total, "%", 1)) for name, s in rows),
        caption,
    )


def counts(session: Monitoring, words: Wording) -> Section:
    """Counts and rates by verdict and, where a model named the events, by class."""
    say, hours = words.say, session.evaluable_hours
    n = len(session.emboli)
    text = say("Emboli: {n} in {hours} evaluable hours, {rate}.").format(
        n=n, hours=words.hours(hours), rate=words.rate(exact_interval(n, hours), named=True)
    )
    tables = [_rate_table(say("verdict of the criteria"), session.verdicts, hours, words)]
    if session.labeled:
        tables.append(_rate_table(say("class given by the model"), session.classes, hours, words))
        tables.append(_class_table(session, words))
    return Section(say("Events and rates"), text, tuple(t for t in tables if t.rows))


def _class_table(session: Monitoring, words: Wording) -> Table:
    """Emboli and what the model is not sure of, each with its probabilities."""
    say = words.say
    shown = [event for event in session.events if event.is_embolus or event.label == UNSURE]
    header = (say("time"), say("class given by the model"), *map(words.name, LABELS),
              say("verdict of the criteria"))  # fmt: skip
    rows = tuple(
        (
            words.clock(event.peak_s, 3),
            words.name(event.label),
            *(words.quantity(100 * p, "%") for p in event.probabilities or (NAN,) * len(LABELS)),
            words.name(event.verdict),
        )
        for event in shown[:MOST_ROWS]
    )
    caption = say("Emboli and events of which the model is not sure: {shown} of {n}.").format(
        shown=len(rows), n=len(shown)
    )
    return Table(header, rows, caption)


def _rate_table(title: str, numbers: dict[str, int], hours: float, words: Wording) -> Table:
    header = (title, words.say("events"), words.say("rate (95 % CI)"))
    rows = tuple(
        (words.name(name), str(n), words.rate(exact_interval(n, hours)))
        for name, n in numbers.items()
    )
    caption = words.say("Exact Poisson intervals. They hold for events that come independently.")
    return Table(header, rows, caption)


def over_time(
    session: Monitoring, found: Sequence[Shower], settings: ShowerSettings, words: Wording
) -> Section:
    """Timeline, rate bin by bin, and showers."""
    say = words.say
    bins = rate_bins(session)
    width = words.span((bins[0].stop_s - bins[0].start_s) / 3600) if bins else "–"
    timeline = Figure(
        draw.timeline_figure(session, found, words),
        say("All events by verdict. Hatched: not evaluable. Boxed: showers."),
        _timeline_alt(session, found, words),
    )
    rate = Figure(
        draw.rate_figure(bins, session.duration_s, words),
        say("Emboli per evaluable hour in bins of {width}, with exact intervals (95 %).").format(
            width=width
        ),
        say("Rate of emboli over time: {rates}.").format(
            rates=", ".join(f"{words.clock(b.start_s)} {words.rate(b.rate)}" for b in bins) or "–"
        ),
    )
    figures = (timeline, rate) if bins else (timeline,)
    tables = tuple(t for t in (_shower_table(found, words), _stretches(session, words)) if t.rows)
    text = shower_sentence(found, settings, words)
    return Section(say("Over time"), text, tables, figures)


def rate_bins(session: Monitoring) -> tuple[RateBin, ...]:
    """Emboli an hour in a few bins of a round length."""
    length = next((b for b in BINS_S if session.duration_s / b <= MOST_BINS), BINS_S[-1])
    peaks = [event.peak_s for event in session.emboli]
    return rate_over_time(peaks, session.evaluable, length)


def find_showers(session: Monitoring, settings: ShowerSettings) -> tuple[Shower, ...]:
    """Showers of emboli."""
    peaks = [event.peak_s for event in session.emboli]
    return showers(peaks, settings.window_s, settings.minimum)


def shower_sentence(found: Sequence[Shower], settings: ShowerSettings, words: Wording) -> str:
    """How many showers there are, and what one is."""
    rule = words.say("A shower is at least {minimum} emboli within {window} s.").format(
        minimum=settings.minimum, window=words.number(settings.window_s)
    )
    if not found:
        return words.say("No shower.") + " " + rule
    each = ", ".join(
        words.say("shower n = {n} at {time}").format(n=s.n, time=words.clock(s.start_s))
        for s in found[:MOST_ROWS]
    )
    more = words.say("In a shower emboli overlap, and more may have passed than were counted.")
    return f"{each[0].upper()}{each[1:]}. {rule} {more}"


def _shower_table(found: Sequence[Shower], words: Wording) -> Table:
    say = words.say
    rows = tuple(
        (words.clock(s.start_s), words.number(s.stop_s - s.start_s, 1), f"n = {s.n}")
        for s in found[:MOST_ROWS]
    )
    return Table((say("shower at (h:mm:ss)"), say("length (s)"), say("emboli")), rows)


def _stretches(session: Monitoring, words: Wording) -> Table:
    say = words.say
    stretches = session.unusable or ()
    rows = tuple(
        (words.clock(start), words.number(stop - start, 1), words.name(reason))
        for start, stop, reason in stretches[:MOST_ROWS]
    )
    caption = say("{shown} of {n} stretches that could not be judged.").format(
        shown=len(rows), n=len(stretches)
    )
    header = (say("not evaluable from (h:mm:ss)"), say("length (s)"), say("reason"))
    return Table(header, rows, caption)


def _timeline_alt(session: Monitoring, found: Sequence[Shower], words: Wording) -> str:
    numbers = ", ".join(f"{words.name(name)} {n}" for name, n in session.verdicts.items())
    return words.say(
        "Timeline of {duration}: {numbers}; stretches not evaluable: {gaps}; showers: {showers}."
    ).format(
        duration=words.clock(session.duration_s),
        numbers=numbers,
        gaps=len(session.unusable or ()),
        showers=len(found),
    )


def distributions(session: Monitoring, words: Wording) -> Section:
    """How strong and how long the events are."""
    say = words.say
    header = (say("verdict"), say("events"), say("HBR (dB), median (range)"),
              say("duration (ms), median (range)"))  # fmt: skip
    rows = []
    for verdict in VERDICTS:
        own = [event for event in session.events if event.verdict == verdict]
        strength, length = [e.hbr_db for e in own], [1000 * e.duration_s for e in own]
        rows.append((
            words.name(verdict),
            str(len(own)),
            _spread(strength, words, 1),
            _spread(length, words),
        ))
    table = Table(header, tuple(rows), say("Of saturated events the HBR is a lower limit."))
    alt = "; ".join(f"{name}: HBR {hbr} dB, {span} ms" for name, _, hbr, span in rows)
    figure = Figure(
        draw.distributions_figure(session.events, words),
        say("HBR and duration of all events, stacked by verdict."),
        alt,
    )
    figures = (figure,) if session.events else ()
    return Section(say("Strength and duration"), "", (table,), figures)


def _spread(values: Sequence[float], words: Wording, decimals: int = 0) -> str:
    if not values:
        return "–"
    middle, low, high = (
        words.number(each, decimals)
        for each in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low}–{high})"


def gallery(session: Monitoring, words: Wording) -> Section:
    """A card an event, in the order of `session.gallery`."""
    say = words.say
    text = say(
        "{shown} of {n} events: emboli first, then doubtful events, then the others; the "
        "strongest first. Each picture is a second around the peak, in dB over the blood flow "
        "around it; the box encloses the event. Sound: flow towards the probe left, away from it "
        "right. Sounds may carry speech: treat them as personal data."
    ).format(shown=len(session.gallery), n=len(session.events))
    cards = tuple(_card(each, words) for each in session.gallery)
    return Section(say("Events to look at and listen to"), text, cards=cards)


def _card(picture: EventPicture, words: Wording) -> Card:
    event, say = picture.event, words.say
    title = say("Event {number}: {verdict}").format(
        number=picture.number, verdict=words.name(event.verdict)
    )
    facts = _event_facts(event, words)
    alt = say("Spectrogram. {title}. {facts}").format(
        title=title, facts=", ".join(f"{name} {value}" for name, value in facts)
    )
    label = say("Sound of event {number}").format(number=picture.number)
    audio = Audio(picture.wav_bytes, label) if picture.wav_bytes else None
    return Card(title, Figure(picture.png, title, alt), facts, audio)


def _event_facts(event: Event, words: Wording) -> Facts:
    say = words.say
    strength = words.quantity(event.hbr_db, "dB", 1)
    side = "towards" if event.frequency_hz >= 0 else "away"
    limited = "≥ " if event.direction_db >= LARGEST_DIRECTION_DB else ""
    forward = limited + words.quantity(event.direction_db, "dB", 0 if limited else 1)
    facts = [
        (say("time"), words.clock(event.peak_s, 3)),
        ("HBR", say("≥ {hbr} (saturated)").format(hbr=strength) if event.saturated else strength),
        (say("duration"), words.quantity(1000 * event.duration_s, "ms")),
        (say("direction at the peak"), words.name(side)),
        (say("forward over reverse"), forward),
        (say("velocity"), words.quantity(event.velocity_cm_s, "cm/s")),
        (say("frequency"), words.quantity(event.frequency_hz, "Hz")),
    ]
    if event.label:
        facts.append((say("class given by the model"), _label(event, words)))
    return tuple(facts)


def _label(event: Event, words: Wording) -> str:
    """The class with the probabilities of all."""
    shares = ", ".join(
        f"{words.name(name)} {words.number(100 * p)} %"
        for name, p in zip(LABELS, event.probabilities, strict=False)
    )
    return words.name(event.label) + (f" ({shares})" if shares else "")


def consensus(session: Monitoring, words: Wording) -> Section:
    """The fourteen items."""
    say = words.say
    rows = tuple((f"{n}. {name}", value) for n, name, value in item_rows(session.items, words))
    return Section(
        say("The fourteen consensus items"),
        tables=(
            Table((say("item"), say("value")), rows, say("After {source}.").format(source=SOURCE)),
        ),
    )

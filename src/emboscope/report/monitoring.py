"""The report of one monitoring session, in one HTML file."""

from emboscope.evaluation.poisson import exact_interval
from emboscope.languages import translator
from emboscope.report import method, sections
from emboscope.report.html import Facts, Highlight, Report, render
from emboscope.report.session import UNSURE, EventPicture, Monitoring
from emboscope.report.showers import Shower, ShowerSettings
from emboscope.report.wording import NOTICE, Wording, capital

__all__ = ["EventPicture", "Monitoring", "monitoring_report"]


def monitoring_report(
    monitoring: Monitoring, language: str = "en", shower_settings: ShowerSettings | None = None
) -> str:
    """The report as HTML that opens offline, in one of the languages.

    Parameters
    ----------
    monitoring : Monitoring
    language : str
        `en`, `es` or `fr`.
    shower_settings : ShowerSettings, optional
        When emboli are a shower.

    Raises
    ------
    SettingsError
        If the language is unknown.
    DataError
        If the report would be larger than 15 MB.
    """
    say = translator(language)
    words = Wording(language)
    settings = shower_settings or ShowerSettings()
    found = sections.find_showers(monitoring, settings)
    return render(
        Report(
            title=say("Emboli in transcranial Doppler: {name}").format(name=monitoring.name),
            summary=_summary(monitoring, words),
            notice=say(NOTICE),
            warnings=_warnings(monitoring, words),
            highlights=_highlights(monitoring, found, words),
            sections=(
                sections.identity(monitoring, words),
                sections.counts(monitoring, words),
                sections.over_time(monitoring, found, settings, words),
                sections.distributions(monitoring, words),
                sections.gallery(monitoring, words),
                sections.consensus(monitoring, words),
                method.detector(monitoring, words),
                *((method.model(monitoring, words),) if monitoring.model else ()),
                method.limits(words),
            ),
            provenance=_provenance(monitoring),
            provenance_title=say("All settings of the detector"),
            language=language,
        )
    )


def _summary(session: Monitoring, words: Wording) -> str:
    return words.say(
        "What was found automatically in one recording of {length}, for a person to check."
    ).format(length=words.span(session.duration_s / 3600))


def _warnings(session: Monitoring, words: Wording) -> tuple[str, ...]:
    say = words.say
    found = [words.name(flag) for flag in session.flags]
    if session.subject.simulated:
        found.insert(0, say("Simulated recording: it is of no person."))
    if session.review is None:
        found.append(say("Not reviewed: no person has looked at these events."))
    return tuple(map(capital, found))


def _highlights(
    session: Monitoring, found: tuple[Shower, ...], words: Wording
) -> tuple[Highlight, ...]:
    """The few figures that a reader looks for first."""
    say = words.say
    rate = exact_interval(len(session.emboli), session.evaluable_hours)
    seen = say("after review") if session.review else say("found, not confirmed")
    if session.labeled:
        kinds = (f"{words.name(kind)} {session.classes[kind]}" for kind in ("gaseous", "solid"))
        seen = f"{', '.join(kinds)}; {seen}"
    share = 360000 * session.evaluable_hours / max(session.duration_s, 1e-9)
    return (
        Highlight(say("Emboli"), str(len(session.emboli)), seen),
        Highlight(say("Emboli per hour"), words.per_hour(rate), words.interval(rate, named=True)),
        Highlight(
            say("Evaluable"),
            words.span(session.evaluable_hours),
            say("{share} of the recording").format(share=words.quantity(min(share, 100.0), "%")),
        ),
        _open(session, words),
        Highlight(
            say("Showers"), str(len(found)), ", ".join(f"n = {s.n}" for s in found[:4]) or "–"
        ),
    )


def _open(session: Monitoring, words: Wording) -> Highlight:
    """What is left for a person: of a model the unknown events, else the doubtful ones."""
    say = words.say
    if session.labeled:
        return Highlight(say("Unknown"), str(session.classes[UNSURE]), say("for a person to judge"))
    return Highlight(
        say("Doubtful"), str(session.verdicts["doubtful"]), say("for a person to judge")
    )


def _provenance(session: Monitoring) -> Facts:
    return tuple(session.detector.settings.items())

"""The report of HITS that were cut out elsewhere and named by a model, in one HTML file."""

from collections.abc import Mapping
from dataclasses import dataclass

from emboscope.events.event import LABELS
from emboscope.languages import translator
from emboscope.report import method
from emboscope.report.html import (
    Audio,
    Card,
    Facts,
    Figure,
    Highlight,
    Report,
    Section,
    Table,
    render,
)
from emboscope.report.session import UNSURE, ModelNote
from emboscope.report.wording import NOTICE, Wording, capital

CLASSES = (*LABELS, UNSURE)


@dataclass(frozen=True)
class HitsPicture:
    """A sample of the gallery.

    Attributes
    ----------
    sample, patient : str
        By their names in the file; the patient may be empty.
    told : str
        What the file says: one of `LABELS`, or empty.
    label : str
        What the model says: one of `LABELS`, or unknown.
    probabilities : tuple of float
        By the order of `LABELS`.
    png, wav_bytes : bytes
    """

    sample: str
    patient: str
    told: str
    label: str
    probabilities: tuple[float, ...]
    png: bytes
    wav_bytes: bytes


@dataclass(frozen=True)
class CutHits:
    """A table of HITS as the report shows it.

    Attributes
    ----------
    name : str
        Of the file or folder.
    labels : mapping of str to int
        How many there are of each of `LABELS` and of unknown ones.
    n_patients : int
        0 where none is told.
    known : int
        Samples whose class the file tells.
    mcc, unknown_share : float
        Of those, see `emboscope.workflows.monitor_cuts.CutsRow`.
    confusion : tuple of tuple of int
        Rows are what the file tells, columns what the model says.
    flags : tuple of str
    gallery : tuple of HitsPicture
    model : ModelNote
    versions : mapping of str to str
        Of the programs that made it.
    """

    name: str
    labels: Mapping[str, int]
    n_patients: int
    known: int
    mcc: float
    unknown_share: float
    confusion: tuple[tuple[int, ...], ...]
    flags: tuple[str, ...]
    gallery: tuple[HitsPicture, ...]
    model: ModelNote
    versions: Mapping[str, str]

    @property
    def n(self) -> int:
        """All samples."""
        return sum(self.labels.get(name, 0) for name in CLASSES)


def cut_hits_report(hits: CutHits, language: str = "en") -> str:
    """The report as HTML that opens offline, in one of the languages.

    Raises
    ------
    SettingsError
        If the language is unknown.
    DataError
        If the report would be larger than 15 MB.
    """
    say = translator(language)
    words = Wording(language)
    return render(
        Report(
            title=say("Classes of cut HITS: {name}").format(name=hits.name),
            summary=say(
                "What a model says of {n} high-intensity transient signals that were cut out "
                "elsewhere, for a person to check."
            ).format(n=hits.n),
            notice=say(NOTICE),
            warnings=tuple(capital(words.name(flag)) for flag in hits.flags),
            highlights=_highlights(hits, words),
            sections=(
                _counts(hits, words),
                *((_agreement(hits, words),) if hits.known else ()),
                _gallery(hits, words),
                method.model_of_cuts(hits.model, words),
                _limits(words),
            ),
            provenance=tuple(hits.versions.items()),
            provenance_title=say("How this was made"),
            language=language,
        )
    )


def _highlights(hits: CutHits, words: Wording) -> tuple[Highlight, ...]:
    """The few figures that a reader looks for first."""
    say = words.say
    shares = {name: 100 * hits.labels.get(name, 0) / max(hits.n, 1) for name in CLASSES}
    notes = {name: words.quantity(share, "%") for name, share in shares.items()}
    found = [
        Highlight(capital(words.name(name)), str(hits.labels.get(name, 0)), notes[name])
        for name in ("gaseous", "solid", "artifact")
    ]
    unsure = str(hits.labels.get(UNSURE, 0))
    return (*found, Highlight(say("Unknown"), unsure, say("for a person to judge")))


def _counts(hits: CutHits, words: Wording) -> Section:
    say = words.say
    rows = tuple(
        (
            words.name(name),
            str(hits.labels.get(name, 0)),
            words.quantity(100 * hits.labels.get(name, 0) / max(hits.n, 1), "%", 1),
        )
        for name in CLASSES
    )
    table = Table((say("class given by the model"), say("samples"), say("share")), rows)
    facts: Facts = ((say("samples"), str(hits.n)),)
    if hits.n_patients:
        facts += ((say("patients"), str(hits.n_patients)),)
    return Section(say("Classes"), tables=(table,), facts=facts)


def _agreement(hits: CutHits, words: Wording) -> Section:
    """The matrix of what the file tells and what the model says."""
    say = words.say
    rows = tuple(
        (words.name(name), *map(str, row))
        for name, row in zip(LABELS, hits.confusion or ((0,) * 3,) * 3, strict=True)
    )
    caption = say(
        "Rows: the class in the file; columns: the class given by the model. {share} of the "
        "samples with a class are left out, because the model does not know them."
    ).format(share=words.quantity(100 * hits.unknown_share, "%", 1))
    facts: Facts = (
        (say("samples with a class in the file"), str(hits.known)),
        (say("Matthews correlation (MCC) × 100"), words.number(100 * hits.mcc, 1)),
    )
    table = Table((say("class in the file"), *map(words.name, LABELS)), rows, caption)
    return Section(say("Agreement with the file"), tables=(table,), facts=facts)


def _gallery(hits: CutHits, words: Wording) -> Section:
    text = words.say(
        "{shown} of {n} samples: of each class those of which the model is surest, then those of "
        "which it is least sure. Pictures are in dB over the flow around the peak. Sound: flow "
        "towards the probe left, away from it right."
    ).format(shown=len(hits.gallery), n=hits.n)
    cards = tuple(_card(each, words) for each in hits.gallery)
    return Section(words.say("Samples to look at and listen to"), text, cards=cards)


def _card(picture: HitsPicture, words: Wording) -> Card:
    say = words.say
    title = say("{sample}: {label}").format(sample=picture.sample, label=words.name(picture.label))
    facts: list[tuple[str, str]] = [
        (words.name(name), words.quantity(100 * p, "%"))
        for name, p in zip(LABELS, picture.probabilities, strict=True)
    ]
    if picture.told:
        facts.append((say("class in the file"), words.name(picture.told)))
    if picture.patient:
        facts.append((say("patient, as the file names it"), picture.patient))
    alt = say("Spectrogram. {title}. {facts}").format(
        title=title, facts=", ".join(f"{name} {value}" for name, value in facts)
    )
    audio = Audio(picture.wav_bytes, say("Sound of {sample}").format(sample=picture.sample))
    return Card(title, Figure(picture.png, title, alt), tuple(facts), audio)


def _limits(words: Wording) -> Section:
    """What the figures of the report do not say."""
    say = words.say
    points = (
        say("The samples were cut out elsewhere: how many emboli were missed there, and how long "
            "was listened, is not known here. There is no rate without that time."),
        say("A model names what it is given: what is neither artifact nor embolus gets one of "
            "these classes all the same, or is unknown."),
        say("Samples and patients are called as in the file: names in it stand here too."),
    )  # fmt: skip
    return Section(say("Limits of the method"), points=points)

"""What a reader must know of the method: the detector, its decibel, its limits."""

from emboscope.languages import marked
from emboscope.report.html import Facts, Section
from emboscope.report.session import NOT_RECORDED, ModelNote, Monitoring
from emboscope.report.wording import Wording

_OVERLAP = marked(
    "Gaseous and solid emboli overlap: a single class is uncertain even where the model is sure."
)


def detector(session: Monitoring, words: Wording) -> Section:
    """The detector, its threshold, and what a decibel is here."""
    say, note = words.say, session.detector
    facts: Facts = (
        (say("detector"), note.name),
        (say("threshold"), words.quantity(note.threshold_db, "dB", 1)),
        *((name, version) for name, version in note.versions.items()),
        (say("review"), _review(session, words)),
    )
    text = say(
        "HBR = 10 log10(P / B), in dB: P is the power of the blood flow's side of the spectrum "
        "above the high-pass at the peak of the event, B the same power as expected at that part "
        "of the cardiac cycle without the event, followed from frame to frame. 3 dB therefore "
        "means an embolus as strong as the blood. The decibel depends on how it is measured: of "
        "the same embolic signals a threshold of 7 dB missed 4.9, 42.2 or 51.4 % with three "
        "published ways of measuring (Stroke 1997;28:692–5). Compare figures only with those of "
        "the same detector and settings."
    )
    return Section(say("Detector and the decibel"), text, facts=facts, points=_criteria(words))


def _review(session: Monitoring, words: Wording) -> str:
    review = session.review
    if review is None:
        return words.say("nobody: not reviewed")
    return words.say(
        "reviewers: {reviewers}; events: {reviewed} of {n}, changed: {changes}"
    ).format(
        reviewers=review.reviewers,
        reviewed=review.reviewed,
        n=len(session.events),
        changes=review.changes,
    )


def _criteria(words: Wording) -> tuple[str, ...]:
    say = words.say
    return (
        say("Embolus: over the threshold, short, on the side of the flow alone, and tonal."),
        say("Doubtful: one of these is not certain. A person has to decide."),
        say("Artifact: on both sides of the spectrum. Too long: longer than the limit, 300 ms "
            "unless changed."),
    )  # fmt: skip


def model(session: Monitoring, words: Wording) -> Section:
    """By which model the events were named, and what its word is worth."""
    say, note = words.say, session.model
    if note is None:
        return Section(say("Classes given by the model"))
    points = (
        say("The class of an event is the likeliest of artifact, gaseous and solid embolus. Where "
            "none is likely enough it is unknown, for a person to judge; meanwhile the criteria "
            "decide whether it counts as an embolus."),
        say("Where the model and the criteria differ, the class of the model counts."),
        say(_OVERLAP),
    )  # fmt: skip
    return Section(say("Classes given by the model"), facts=_of_model(note, words), points=points)


def model_of_cuts(note: ModelNote, words: Wording) -> Section:
    """The same of samples that were cut out elsewhere, of which no criteria have a verdict."""
    say = words.say
    points = (
        say("The class is the likeliest of artifact, gaseous and solid embolus. Where none is "
            "likely enough it is unknown, for a person to judge."),
        say(_OVERLAP),
    )  # fmt: skip
    return Section(say("Classes given by the model"), facts=_of_model(note, words), points=points)


def _of_model(note: ModelNote, words: Wording) -> Facts:
    say = words.say
    return (
        (say("model"), note.name),
        (say("trained on"), words.name(note.trained_on or NOT_RECORDED)),
        (say("least probability of an answer"), words.quantity(100 * note.least_probability, "%")),
        (say("sum of the weights"), note.weights_sha256[:16]),
    )


def limits(words: Wording) -> Section:
    """What the figures of the report do not say."""
    say = words.say
    points = (
        say("An experienced observer has to look at and listen to the events before any of them "
            "is counted. The consensus of 1998 found that no system of automatic embolus "
            "detection had the sensitivity and specificity that clinical use requires."),
        say("Weak emboli, a few decibels over the blood, are often missed; artifacts on the side "
            "of the flow may be taken for emboli."),
        say("No embolus in a recording does not show that there are none. In patients with "
            "symptomatic carotid disease the share with at least one rose from 58 % after 30 "
            "minutes to 92 % after 150 (Stroke 2004;35:73–78)."),
        say("Rates are per evaluable hour. Their intervals take emboli to come independently and "
            "at a constant rate; showers make the true uncertainty larger."),
        say("Velocities rest on the recorded insonation angle, and on 0° where none is recorded."),
    )  # fmt: skip
    return Section(say("Limits of the method"), points=points)

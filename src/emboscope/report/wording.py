"""How a report says names, numbers and times in a language."""

from dataclasses import dataclass

from emboscope.evaluation.poisson import Rate
from emboscope.languages import Translator, decimal, marked, translator
from emboscope.report.session import NOT_RECORDED, UNKNOWN_REASON

NOTICE = marked(
    "Research use only. Not a medical device. Not for diagnosis, monitoring or treatment "
    "decisions. Not evaluated by FDA or under MDR."
)
NAMES = {
    "embolus": marked("embolus"),
    "doubtful": marked("doubtful"),
    "artifact": marked("artifact"),
    "too_long": marked("too long"),
    "gaseous": marked("gaseous embolus"),
    "solid": marked("solid embolus"),
    "unknown": marked("unknown"),
    "towards": marked("towards the probe"),
    "away": marked("away from the probe"),
    "left": marked("left"),
    "right": marked("right"),
    "dropout": marked("dropout: nothing was recorded"),
    "noise only": marked("noise only"),
    "saturated": marked("saturation"),
    "no flow": marked("no Doppler flow"),
    "no Doppler flow": marked("no Doppler flow"),
    "no signal": marked("no signal"),
    "the flow aliases": marked("the flow aliases"),
    "I/Q imbalance corrected": marked("I/Q imbalance corrected"),
    "Q negated: the flow was on the other side than declared": marked(
        "Q negated: the flow was on the other side than declared"
    ),
    "short_background": marked("recording under 10 s: the background is uncertain"),
    "no carrier: no velocity": marked("transmitted frequency not recorded: no velocities"),
    "detector trained on simulated patients": marked("detector trained on simulated patients"),
    "classes by a model trained on simulated patients alone": marked(
        "classes by a model trained on simulated patients alone"
    ),
    "classes by a model that does not tell what it was trained on": marked(
        "classes by a model that does not tell what it was trained on"
    ),
    "no carrier: whether the model suits it is not known": marked(
        "transmitted frequency not recorded: whether the model suits it is not known"
    ),
    "simulated patients alone": marked("simulated patients alone"),
    NOT_RECORDED: marked("not recorded"),
    UNKNOWN_REASON: marked("reason not recorded"),
}


def capital(text: str) -> str:
    """A text as it begins a sentence."""
    return f"{text[0].upper()}{text[1:]}"


@dataclass(frozen=True)
class Wording:
    """The words and the number format of one language."""

    language: str

    @property
    def say(self) -> Translator:
        """The translator of the language."""
        return translator(self.language)

    def name(self, key: str) -> str:
        """A class, side, reason or flag by its name in the result files; other text as it is."""
        return self.say(NAMES[key]) if key in NAMES else key

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with its decimals; a dash where there is none."""
        return "–" if value != value else decimal(value, decimals, self.language)

    def quantity(self, value: float | None, unit: str, decimals: int = 0) -> str:
        """A number with its unit, or that it is not recorded."""
        if value is None or value != value:
            return self.name(NOT_RECORDED)
        return f"{self.number(value, decimals)} {unit}".strip()

    def span(self, hours: float) -> str:
        """A length in seconds, from a minute on in minutes, from an hour on in hours."""
        if hours < 1 / 60:
            return f"{self.number(3600 * hours, 1)} s"
        if hours < 1:
            return f"{self.number(60 * hours, 1)} min"
        return f"{self.number(hours, 2)} h"

    def hours(self, hours: float) -> str:
        """Hours with two decimals; of a few minutes with four."""
        return self.number(hours, 2 if hours >= 0.1 or hours == 0 else 4)

    def clock(self, seconds: float, decimals: int = 0) -> str:
        """Time since the start: h:mm:ss."""
        whole = round(seconds * 10**decimals)
        minutes, rest = divmod(whole, 60 * 10**decimals)
        text = decimal(rest / 10**decimals, decimals, self.language)
        return f"{minutes // 60}:{minutes % 60:02d}:{text:0>{3 + decimals if decimals else 2}}"

    def interval(self, rate: Rate, named: bool = False) -> str:
        """The ends of an interval with two decimals: 0.54–5.12, or 95 % CI 0.54–5.12."""
        ends = f"{self._end(rate.low)}–{self._end(rate.high)}"
        return self.say("95 % CI {ends}").format(ends=ends) if named else ends

    def rate(self, rate: Rate, named: bool = False) -> str:
        """A rate with its interval: 2.0 (0.54–5.12)/h, or 2.0 (95 % CI 0.54–5.12)/h."""
        if rate.rate != rate.rate:
            return "–"
        return f"{self.per_hour(rate)} ({self.interval(rate, named)})/h"

    def per_hour(self, rate: Rate) -> str:
        """The rate alone, with one decimal; no event is plainly 0."""
        return "0" if rate.rate == 0 else self.number(rate.rate, 1)

    def _end(self, value: float) -> str:
        return "0" if value == 0 else self.number(value, 2)

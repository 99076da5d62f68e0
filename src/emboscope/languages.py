"""What a report says, in English, Spanish or French.

English is the source: its sentences are the keys of the catalogs in `locale`. A sentence is
translated by `say("…")`, where `say` is a `translator`; one that stands in a table is marked by
`marked("…")` and said later. Both are what `make locale` looks for.
"""

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

from emboscope.errors import SettingsError

LANGUAGES = ("en", "es", "fr")
DOMAIN = "emboscope"
CATALOGS = Path(__file__).parent / "locale"

Translator = Callable[[str], str]


@cache
def translator(language: str) -> Translator:
    """From an English sentence to the same in a language; an unknown one stays as it is.

    Raises
    ------
    SettingsError
        If there is no catalog of that language.

    Examples
    --------
    >>> translator("es")("doubtful")
    'dudoso'
    """
    if language not in LANGUAGES:
        raise SettingsError(
            f"--language '{language}': unknown; expected {', '.join(LANGUAGES)}. "
            "Choose one of these."
        )
    if language == "en":
        return gettext.NullTranslations().gettext
    return gettext.translation(DOMAIN, CATALOGS, [language]).gettext


def marked(text: str) -> str:
    """The text itself; the mark puts it into the catalogs."""
    return text


def decimal(value: float, decimals: int, language: str) -> str:
    """A number as it is written in a language: with a comma in Spanish and French.

    Examples
    --------
    >>> decimal(3.689, 2, "en"), decimal(3.689, 2, "fr")
    ('3.69', '3,69')
    """
    text = f"{value:.{decimals}f}".replace("-", "−")
    return text if language == "en" else text.replace(".", ",")

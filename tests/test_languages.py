"""What is said in English is said in Spanish and French too."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from emboscope.errors import SettingsError
from emboscope.languages import CATALOGS, DOMAIN, LANGUAGES, decimal, translator

SOURCE = CATALOGS.parent
OTHERS = [language for language in LANGUAGES if language != "en"]


def catalog(path):
    with path.open("rb") as file:
        return read_po(file)


def messages(path):
    return {message.id: message.string for message in catalog(path) if message.id}


def said():
    """Each literal that is given to `say` or `marked`, wherever in the package."""
    for path in sorted(Path(SOURCE).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in {"say", "marked"} and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value


POT = messages(CATALOGS / f"{DOMAIN}.pot")
PO = {language: CATALOGS / language / "LC_MESSAGES" / f"{DOMAIN}.po" for language in OTHERS}


def test_template_lists_what_is_said_and_nothing_else():
    assert set(POT) == set(said())  # run: make locale


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated(language):
    translated = {key for key, text in messages(PO[language]).items() if text}
    assert translated == set(POT)


@pytest.mark.parametrize("language", OTHERS)
def test_translation_has_the_same_blanks(language):
    def blanks(text):
        return sorted(re.findall(r"\{\w+\}", text))

    wrong = [key for key, text in messages(PO[language]).items() if blanks(key) != blanks(text)]
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_compiled_catalog_is_that_of_the_source(language):
    with PO[language].with_suffix(".mo").open("rb") as file:
        compiled = {message.id: message.string for message in read_mo(file) if message.id}
    assert compiled == messages(PO[language])  # run: make locale


@pytest.mark.parametrize("language", OTHERS)
def test_punctuation_stays_at_the_end(language):
    ends = {key: (key[-1], text[-1]) for key, text in messages(PO[language]).items()}
    assert {key: end for key, end in ends.items() if (end[0] == ".") != (end[1] == ".")} == {}


def test_translators_speak_their_language():
    assert translator("en")("doubtful") == "doubtful"
    assert translator("es")("solid embolus") == "émbolo sólido"
    assert translator("fr")("not recorded") == "non renseigné"
    assert translator("fr")("a sentence of no catalog") == "a sentence of no catalog"


@pytest.mark.parametrize("language", ["de", "", "EN", "../en"])
def test_unknown_language_is_refused_with_those_known(language):
    with pytest.raises(SettingsError, match=r"unknown; expected en, es, fr\. Choose one of these"):
        translator(language)


def test_decimal_mark_and_minus_follow_the_language():
    assert [decimal(-1.25, 2, language) for language in LANGUAGES] == ["−1.25", "−1,25", "−1,25"]


def test_standard_library_reads_the_catalogs():
    for language in OTHERS:
        assert gettext.find(DOMAIN, str(CATALOGS), [language])

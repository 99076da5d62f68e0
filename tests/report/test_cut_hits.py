"""The report of cut HITS: its counts, its matrix, its cards, in each language."""

from dataclasses import replace

import pytest

from emboscope.errors import SettingsError
from emboscope.report.cut_hits import CutHits, HitsPicture, cut_hits_report
from emboscope.report.session import ModelNote

PICTURE = HitsPicture("s7", "p2", "solid", "gaseous", (0.02, 0.9, 0.08), b"PNG", b"WAV")
HITS = CutHits(
    name="ward <3>",
    labels={"artifact": 5, "gaseous": 3, "solid": 1, "unknown": 1},
    n_patients=4,
    known=9,
    mcc=0.8137,
    unknown_share=1 / 9,
    confusion=((5, 0, 0), (0, 2, 0), (0, 1, 0)),
    flags=("classes by a model trained on simulated patients alone",),
    gallery=(PICTURE,),
    model=ModelNote("shipped", "simulated patients alone", 0.6, "abcdef0123456789ff"),
    versions={"emboscope": "0.1.0"},
)


def test_counts_matrix_and_card_tell_what_was_found():
    page = cut_hits_report(HITS)
    assert "Classes of cut HITS: ward &lt;3&gt;" in page
    assert "What a model says of 10 high-intensity transient signals" in page
    assert "Classes by a model trained on simulated patients alone" in page
    for text in ("50.0 %", "30.0 %", "81.4", "11.1 % of the samples",
                 "patient, as the file names it",
                 "s7: gaseous embolus", "90 %", "abcdef0123456789", "no rate without",
                 "How this was made", "0.1.0"):  # fmt: skip
        assert text in page
    assert "abcdef0123456789ff" not in page
    assert page.count("data:audio/wav") == 1
    assert "http" not in page.replace("http-equiv", "")


def test_without_classes_in_the_file_there_is_no_matrix():
    bare = replace(
        HITS, known=0, confusion=(), n_patients=0, gallery=(replace(PICTURE, told="", patient=""),)
    )
    page = cut_hits_report(bare)
    assert "Agreement with the file" not in page
    assert "class in the file" not in page
    assert "as the file names it" not in page


def test_where_the_model_knows_none_of_the_samples_the_report_says_so():
    none = replace(HITS, mcc=float("nan"), unknown_share=1.0, confusion=())
    page = cut_hits_report(none)
    assert "Agreement with the file" in page
    assert "100.0 % of the samples" in page


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("es", ("Clases de HITS recortados", "émbolo gaseoso", "11,1 % de las muestras")),
        ("fr", ("Classes de HITS découpés", "embole gazeux", "11,1 % des échantillons")),
    ],
)
def test_it_is_said_in_other_languages(language, said):
    page = cut_hits_report(HITS, language)
    assert f'lang="{language}"' in page
    for text in said:
        assert text in page


def test_an_unknown_language_is_refused():
    with pytest.raises(SettingsError, match="'xx': unknown; expected en, es, fr"):
        cut_hits_report(HITS, "xx")

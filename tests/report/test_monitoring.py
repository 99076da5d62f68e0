"""The report of a session says all that is known, and what is not."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from emboscope.errors import SettingsError
from emboscope.events import evaluable, hbr, stream
from emboscope.events.event import Event
from emboscope.languages import CATALOGS, LANGUAGES, translator
from emboscope.report import session_figures
from emboscope.report.figures import size_figure
from emboscope.report.items import ITEMS
from emboscope.report.monitoring import monitoring_report
from emboscope.report.session import (
    DetectorNote,
    EventPicture,
    ModelNote,
    Monitoring,
    Review,
    Subject,
    Velocities,
)
from emboscope.report.wording import NAMES, NOTICE, Wording
from emboscope.workflows import classes, files
from emboscope.workflows.cnn_detector import LEARNED_ON

PNG = size_figure({"a": 8000})
OTHERS = [language for language in LANGUAGES if language != "en"]


@pytest.fixture(autouse=True)
def _pictures_are_drawn_elsewhere(monkeypatch):
    """Drawing takes most of the time, and test_session_figures.py looks at it."""
    for name in ("timeline_figure", "rate_figure", "distributions_figure"):
        monkeypatch.setattr(session_figures, name, lambda *_: PNG)


EVENT = Event(0.0, 0.03, 0.0, 12.0, 18.0, -600.0, -23.1, False, False, "embolus")


def event(peak_s=60.0, verdict="embolus", **changes):
    return replace(EVENT, peak_s=peak_s, onset_s=peak_s - 0.01, verdict=verdict, **changes)


def session(events=(), hours=1.0, **changes):
    whole = Monitoring(
        name="p01",
        subject=Subject(),
        items={},
        duration_s=3600 * hours,
        evaluable_hours=hours,
        unusable=(),
        flow_side="away",
        velocities=Velocities(),
        events=tuple(events),
        detector=DetectorNote("hbr_recursive", 5.0, {"hop": "16"}, {"emboscope": "0.1.0"}),
    )
    return replace(whole, **changes)


def shown(text):
    """Words of the page, without pictures and markup."""
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL))
    return re.sub(r"\s+", " ", words.replace("&#39;", "'"))


def test_no_embolus_in_an_hour_still_has_an_upper_end():
    assert "Emboli: 0 in 1.00 evaluable hours, 0 (95 % CI 0–3.69)/h." in shown(
        monitoring_report(session())
    )


def test_four_emboli_in_two_hours():
    four = [event(60.0 * n) for n in range(1, 5)]
    text = shown(monitoring_report(session(four, hours=2.0)))
    assert "2.0 (95 % CI 0.54–5.12)/h" in text
    assert "embolus 4 2.0 (0.54–5.12)/h" in text
    assert "artifact 0 0 (0–1.84)/h" in text


def test_without_evaluable_time_there_is_no_rate():
    text = shown(monitoring_report(session(evaluable_hours=0.0, unusable=((0, 3600, "no flow"),))))
    assert "Emboli: 0 in 0.00 evaluable hours, –." in text
    assert "no Doppler flow 1:00:00 100.0 %" in text


def test_all_fourteen_items_stand_in_their_order_and_missing_ones_say_so():
    text = shown(monitoring_report(session(items={"carrier_hz": 2e6, "fft_overlap": 0.75})))
    rows = re.findall(r"(\d+)\. ([a-zF][\w \-]+?) (not recorded|2\.00 MHz|75 %)", text)
    assert [int(number) for number, _, _ in rows] == list(range(1, 15))
    assert [name for _, name, _ in rows] == [name for name, *_ in ITEMS.values()]
    assert [value for _, _, value in rows].count("not recorded") == 12


def test_item_that_is_text_stays_and_a_number_in_text_gets_its_unit():
    items = {"ultrasound_device": "Holter 2", "insonation_depth_mm": "52.2", "artery": "MCA"}
    text = shown(monitoring_report(session(items=items)))
    assert "1. ultrasound device Holter 2 " in text
    assert "4. insonation depth 52 mm " in text
    assert "depth 52 mm " in text
    assert "vessel MCA " in text


def test_notice_is_that_of_every_file():
    assert NOTICE == files.NOTICE
    assert NOTICE in shown(monitoring_report(session()))


@pytest.mark.parametrize("language", OTHERS)
def test_notice_is_translated(language):
    text = shown(monitoring_report(session(), language))
    assert shown(translator(language)(NOTICE)) in text.replace("’", "’")
    assert NOTICE not in text


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_sentence_is_left(language):
    seen = [event(label="solid", probabilities=(0.1, 0.2, 0.7)), event(90.0, "doubtful")]
    gallery = tuple(EventPicture(each, PNG, b"RIFF", 1) for each in seen)
    whole = session(seen * 3, unusable=((1, 9, "dropout"),), gallery=gallery,
                    evaluable_hours=0.9, flags=("no signal",))  # fmt: skip
    text = monitoring_report(whole, language)
    template = (CATALOGS / "emboscope.pot").read_text(encoding="utf-8")
    sentences = re.findall(r'msgid "([^"{}]{14,})"', template)
    same = {each for each in sentences if translator(language)(each) == each}
    assert [each for each in sentences if each in text and each not in same] == []
    assert f'<html lang="{language}">' in text


def test_numbers_follow_the_language():
    text = shown(monitoring_report(session(), "fr"))
    assert "0 (IC à 95\u00a0% 0–3,69)/h".replace("\u00a0", " ") in text


def test_unknown_language_is_refused():
    with pytest.raises(SettingsError, match="--language 'de': unknown; expected en, es, fr"):
        monitoring_report(session(), "de")


def test_saturated_event_has_a_lower_limit_and_a_card_tells_all():
    loud = event(75.5, saturated=True, hbr_db=31.25)
    text = monitoring_report(session([loud], gallery=(EventPicture(loud, PNG, b"RIFF", 1),)))
    words = shown(text)
    assert "HBR ≥ 31.2 dB (saturated)" in words
    assert "Event 1: embolus time 0:01:15.500" in words
    assert "duration 30 ms direction at the peak away from the probe" in words
    assert "forward over reverse 18.0 dB velocity −23 cm/s frequency −600 Hz" in words
    assert re.search(
        r'<audio controls [^>]*aria-label="Sound of event 1" src="data:audio/wav', text
    )
    assert 'alt="Spectrogram. Event 1: embolus. time 0:01:15.500, HBR ≥ 31.2 dB' in text


def test_classes_of_a_model_are_counted_apart_and_decide():
    named = [
        event(60, label="solid", probabilities=(0.1, 0.2, 0.7)),
        event(70, "doubtful", label="unknown"),
        event(80, "doubtful", label="gaseous"),
        event(90, "artifact", label="artifact"),
    ]
    text = shown(monitoring_report(session(named)))
    assert "Emboli: 2 in 1.00" in text
    for row in ("artifact 1", "gaseous embolus 1", "solid embolus 1", "unknown 1"):
        assert f"{row} 1.0 (0.03–5.57)/h" in text
    assert "class given by the model" not in shown(monitoring_report(session([event()])))


def test_probabilities_stand_beside_a_class():
    solid = event(label="solid", probabilities=(0.1, 0.2, 0.7))
    text = shown(monitoring_report(session([solid], gallery=(EventPicture(solid, PNG, b"", 1),))))
    assert "solid embolus (artifact 10 %, gaseous embolus 20 %, solid embolus 70 %)" in text


def test_emboli_and_unknown_events_stand_in_a_table_with_their_probabilities():
    named = [
        event(60, label="solid", probabilities=(0.1, 0.2, 0.7)),
        event(70, "doubtful", label="unknown", probabilities=(0.4, 0.3, 0.3)),
        event(90, "artifact", label="artifact", probabilities=(0.98, 0.01, 0.01)),
    ]
    text = shown(monitoring_report(session(named)))
    assert "0:01:00.000 solid embolus 10 % 20 % 70 % embolus" in text
    assert "0:01:10.000 unknown 40 % 30 % 30 % doubtful" in text
    assert "98 %" not in text
    assert "Emboli and events of which the model is not sure: 2 of 2." in text
    assert "Unknown 1 for a person to judge" in text
    assert "gaseous embolus 0, solid embolus 1; found, not confirmed" in text


def test_flags_of_models_have_names_in_all_languages():
    on_simulated = classes.trained_on(classes.SIMULATED)
    flags = {on_simulated, classes.NO_ORIGIN, classes.NO_CARRIER, classes.SIMULATED}
    assert flags | set(LEARNED_ON.values()) <= set(NAMES)


def test_the_model_and_what_it_learned_from_are_named():
    note = ModelNote("shipped", "simulated patients alone", 0.63, "ab" * 32)
    text = shown(monitoring_report(session([event(label="solid")], model=note)))
    assert "model shipped trained on simulated patients alone" in text
    assert "least probability of an answer 63 %" in text
    assert "sum of the weights abababababababab " in text
    silent = shown(
        monitoring_report(session([event(label="solid")], model=replace(note, trained_on="")))
    )
    assert "trained on not recorded" in silent
    assert "trained on" not in shown(monitoring_report(session([event()])))


def test_shower_is_counted_as_a_shower():
    text = shown(monitoring_report(session([event(600 + 0.1 * n) for n in range(50)])))
    assert "Shower n = 50 at 0:10:00." in text
    assert "0:10:00 4.9 n = 50" in text


def test_unusable_time_is_listed_by_reason_and_what_is_left_is_said():
    gaps = ((0.0, 36.0, "dropout"), (100.0, 172.0, "no flow"), (200.0, 236.0, "dropout"))
    text = shown(monitoring_report(session(unusable=gaps, evaluable_hours=0.95)))
    assert "dropout: nothing was recorded 0:01:12 2.0 %" in text
    assert "no Doppler flow 0:01:12 2.0 %" in text
    assert "reason not recorded 0:00:36 1.0 %" in text
    assert "all 0:03:00 5.0 %" in text
    assert "3 of 3 stretches" in text


def test_stretches_between_the_unusable_ones_are_evaluable():
    one = session(unusable=((0.0, 10.0, "dropout"), (20.0, 30.0, "no flow")))
    assert one.evaluable == ((10.0, 20.0), (30.0, 3600.0))
    assert session(unusable=None).evaluable == ((0.0, 3600.0),)


def test_missing_facts_are_not_recorded_and_known_ones_are_shown():
    text = shown(monitoring_report(session()))
    for name in ("date", "indication", "side", "mean velocity", "pulsatility index"):
        assert f"{name} not recorded" in text
    known = session(
        velocities=Velocities(61.6, 99.0, 40.0, 0.957),
        subject=Subject("a1b2c3", "2026-11", indication="carotid", side="left"),
    )
    text = shown(monitoring_report(known))
    assert "mean velocity 62 cm/s" in text
    assert "pulsatility index 0.96" in text
    assert "subject (pseudonym) a1b2c3 date 2026-11" in text


def test_review_is_told_or_that_there_was_none():
    assert "Not reviewed: no person has looked" in shown(monitoring_report(session()))
    text = shown(monitoring_report(session([event()], review=Review(2, 1, 0))))
    assert "review reviewers: 2; events: 1 of 1, changed: 0" in text
    assert "Not reviewed" not in text


def test_simulated_recording_is_called_so():
    text = shown(monitoring_report(session(subject=Subject(simulated=True))))
    assert "Simulated recording: it is of no person." in text


def test_detector_its_decibel_and_its_settings_are_printed():
    text = shown(monitoring_report(session()))
    for words in ("detector hbr_recursive", "threshold 5.0 dB", "emboscope 0.1.0", "hop 16",
                  "HBR = 10 log10(P / B)", "Limits of the method"):  # fmt: skip
        assert words in text


def test_report_runs_nothing_fetches_nothing_and_may_play_its_sounds():
    one = event()
    text = monitoring_report(session([one], gallery=(EventPicture(one, PNG, b"RIFF", 1),)))
    assert "<script" not in text
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:|#)", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy == (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    )


def test_page_can_be_read_without_sight():
    one = event()
    text = monitoring_report(session([one], gallery=(EventPicture(one, PNG, b"RIFF", 1),)))
    levels = [int(level) for level in re.findall(r"<h([1-6])", text)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert not re.search(r'<img(?![^>]*alt="[^"]+")', text)
    assert not re.search(r"<th(?! scope=)[ >]", text)


def test_text_of_a_recording_is_not_taken_for_html():
    text = monitoring_report(session(name="<script>x", subject=Subject("<img src=x>")))
    assert "<script" not in text
    assert "<img src=x>" not in text


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [
        (0, 0, "0:00:00"),
        (59.9996, 3, "0:01:00.000"),
        (3661.25, 3, "1:01:01.250"),
        (90061, 0, "25:01:01"),
    ],
)
def test_clock(seconds, decimals, text):
    assert Wording("en").clock(seconds, decimals) == text


def test_every_flag_and_reason_of_a_scan_has_its_words():
    flags = {*stream.WHY_NOTHING.values(), hbr.FLOW_ALIASES, hbr.IMBALANCE}
    assert flags | set(evaluable.REASONS[1:]) <= set(NAMES)

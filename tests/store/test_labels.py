"""The log of labels and what it leads to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from emboscope.errors import DataError, SettingsError
from emboscope.store import Study
from emboscope.store.labels import (
    MANUAL,
    LabelEvent,
    check_event,
    current,
    fold,
    hard,
    last_batch,
    undo_events,
    votes,
)
from emboscope.store.log import _event, read_log

IDS = np.array([1, 2, 3])
ARTIFACT, GASEOUS, SOLID = np.eye(3)
UNSURE = (1 / 3, 1 / 3, 1 / 3)


def said(sample, who, label, source="expert", batch="b"):
    shares = None if label is None else tuple(float(share) for share in label)
    return LabelEvent(sample, who, source, shares, batch=batch)


def folded(*events, **options):
    return fold(events, IDS, 3, **options)


@pytest.mark.parametrize("source", ["propagated", "model"])
@pytest.mark.parametrize("manual", MANUAL)
def test_a_person_holds_against_a_computation_in_either_order(source, manual):
    pair = [said(1, "ann", GASEOUS, manual), said(1, "bob", SOLID, source)]
    for events in (pair, pair[::-1]):
        labels = folded(*events)
        assert (labels.y[0], labels.source[0], labels.annotator[0]) == (1, manual, "ann")


def test_the_last_word_of_a_person_holds():
    assert folded(said(1, "ann", GASEOUS), said(1, "ann", SOLID, "lasso")).y.tolist() == [2, -1, -1]


def test_the_last_computation_holds_whoever_ran_it():
    events = [said(1, "ann", GASEOUS, "propagated"), said(1, "bob", SOLID, "model")]
    assert folded(*events).source[0] == "model"


def test_several_persons_are_averaged_and_a_tie_is_no_class():
    labels = folded(said(1, "ann", GASEOUS), said(1, "bob", SOLID), said(2, "bob", UNSURE))
    assert_array_equal(labels.soft[0], [0, 0.5, 0.5])
    assert labels.y.tolist() == [-1, -1, -1]
    assert labels.annotator.tolist() == ["ann+bob", "bob", ""]
    assert np.isnan(labels.soft[2]).all()


def test_the_source_of_several_persons_is_that_of_the_last_word():
    events = [said(1, "ann", SOLID), said(1, "bob", SOLID, "lasso"), said(1, "ann", SOLID)]
    assert folded(*events[:2]).source[0] == "lasso"
    assert folded(*events).source[0] == "expert"


def test_votes_keep_persons_apart():
    events = [said(1, "bob", SOLID), said(1, "ann", GASEOUS), said(2, "ann", UNSURE)]
    names, table = votes([*events, said(3, "ann", SOLID, "model")], IDS, 3)
    assert names == ("ann", "bob")
    assert_array_equal(table, [[1, 2], [-1, -1], [-1, -1]])


def test_a_label_taken_away_lets_the_computation_show_again():
    events = [said(1, "bob", SOLID, "model"), said(1, "ann", GASEOUS), said(1, "ann", None)]
    assert folded(*events).source[0] == "model"
    assert folded(*events[1:]).y[0] == -1


def test_only_one_source_or_person_can_be_asked_for():
    events = [said(1, "ann", GASEOUS), said(1, "bob", SOLID), said(2, "bob", SOLID, "propagated")]
    assert folded(*events, annotator="bob").y.tolist() == [2, 2, -1]
    assert folded(*events, source="propagated").y.tolist() == [-1, 2, -1]


def test_an_undone_undo_brings_the_label_again():
    log = [said(1, "ann", GASEOUS, batch="one")]
    log += undo_events(log, "one", "ann")
    assert folded(*log).y[0] == -1
    log += undo_events(log, log[-1].batch, "ann")
    assert folded(*log).y[0] == 1
    log += undo_events(log, "one", "ann")
    assert folded(*log).y[0] == -1


def test_nobody_undoes_what_another_person_said_but_anybody_a_computation():
    log = [said(1, "ann", GASEOUS, batch="one"), said(2, "ann", SOLID, "propagated", "two")]
    with pytest.raises(DataError, match="batch 'one': said by 'ann'; expected an undo by the same"):
        undo_events(log, "one", "bob")
    assert len(undo_events(log, "two", "bob")) == 1
    with pytest.raises(DataError, match="batch 'three': nothing of it stands; expected a batch"):
        undo_events(log, "three", "ann")
    taken = [*log, *undo_events(log, "one", "ann")]
    with pytest.raises(DataError, match="batch 'one': nothing of it stands"):
        undo_events(taken, "one", "ann")


def test_the_last_batch_is_the_last_that_stands():
    log = [said(1, "ann", GASEOUS, batch="one"), said(2, "bob", SOLID, batch="two")]
    assert last_batch(log).batch == "two"
    assert last_batch(log, "ann").batch == "one"
    assert last_batch([*log, *undo_events(log, "two", "bob")]).batch == "one"
    with pytest.raises(DataError, match="log: nothing to undo of eve; expected a label that"):
        last_batch(log, "eve")


LABELS = st.sampled_from([ARTIFACT, GASEOUS, SOLID, UNSURE, None])
WORDS = st.tuples(
    st.sampled_from([1, 2, 3]),
    st.sampled_from(["ann", "bob"]),
    LABELS,
    st.sampled_from(["expert", "lasso", "propagated", "model", "import"]),
)
STEPS = st.lists(st.one_of(WORDS, st.integers(0, 20)), max_size=12)


def history(steps):
    """A log of words and of undos; a number n takes back the n-th batch so far, if it can be."""
    log = []
    for number, step in enumerate(steps):
        if not isinstance(step, int):
            log.append(said(*step, batch=f"b{number}"))
            continue
        batches = list(dict.fromkeys(event.batch for event in log))
        try:
            log += undo_events(log, batches[step % len(batches)], "ann") if batches else ()
        except DataError:
            continue
    return log


def same(one, other):
    for name in ("y", "soft", "source", "annotator"):
        assert_array_equal(getattr(one, name), getattr(other, name))


@given(before=STEPS, batch=st.lists(WORDS, min_size=1, max_size=5))
def test_after_an_undo_the_labels_are_what_they_were_before(before, batch):
    log = history(before)
    more = [*log, *(said(word[0], "ann", *word[2:], batch="new") for word in batch)]
    undone = [*more, *undo_events(more, "new", "ann")]
    same(folded(*undone), folded(*log))
    redone = [*undone, *undo_events(undone, undone[-1].batch, "ann")]
    same(folded(*redone), folded(*more))


@given(words=st.lists(WORDS, max_size=12), at=st.integers(0, 12))
def test_what_is_computed_never_changes_what_a_person_said(words, at):
    manual = [said(*word) for word in words if word[3] in MANUAL]
    computed = [said(*word) for word in words if word[3] not in MANUAL]
    mixed = [*manual[:at], *computed, *manual[at:]]
    alone, both = folded(*manual), folded(*mixed)
    held = alone.annotator != ""
    assert_array_equal(both.soft[held], alone.soft[held])
    assert {event.annotator for event in current(manual)} <= {"ann", "bob"}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (said(1, "ann", SOLID, "oracle"), "source 'oracle'; expected expert, lasso, import"),
        (said(1, " ", SOLID), "no annotator; expected who said it"),
        (said(1, "ann", (1.0, 0.0)), "expected 3 numbers from 0 to 1"),
        (said(1, "ann", (1.5, -0.5, 0.0)), "expected 3 numbers from 0 to 1"),
        (said(1, "ann", (float("nan"), 0.0, 1.0)), "expected 3 numbers from 0 to 1"),
        (said(1, "ann", (0.5, 0.2, 0.2)), "of sum 0.9; expected 1. Divide them"),
        (said(1, "ann", None, "undo"), "an undo names the event it takes back"),
    ],
)
def test_an_event_that_says_nothing_is_refused(event, text):
    with pytest.raises(DataError, match=text):
        check_event(event, 3)


def test_equal_shares_are_no_class_though_they_are_rounded():
    assert hard(np.array([[0.1 + 0.2, 0.3, 0.4 - 1e-12], [0.3, 0.3, 0.4]])).tolist() == [2, 2]
    assert hard(np.array([[0.1 + 0.2, 0.3, 0.0]])).tolist() == [-1]


def test_the_log_keeps_every_word_in_order_with_time_and_details(study):
    details = {"k": 10, "threshold": 0.1, "map": "tsne", "dwell_s": 2.5}
    events = [LabelEvent(2, "ann", "expert", (0.2, 0.8, 0.0), "hm", details, "b1")]
    events.append(LabelEvent(1, "bob", "lasso", None))
    numbers = study.append(events)
    log = study.log()
    assert [event.number for event in log] == list(numbers) == sorted(numbers)
    assert (log[0].details, log[0].comment, log[0].batch) == (details, "hm", "b1")
    assert log[1].batch == log[1].uuid
    assert log[0].when.endswith("+00:00")


def test_a_log_that_was_read_before_is_read_on_and_is_whole(study, monkeypatch):
    study.append([said(1, "ann", SOLID)])
    first = study.log()
    with Study.open(study.path) as other:  # as another process
        other.append([said(2, "bob", SOLID)])
    read = []
    monkeypatch.setattr("emboscope.store.log._event", lambda row: read.append(row) or _event(row))
    assert study.log()[:1] == first
    assert [event.annotator for event in study.log()] == ["ann", "bob"]
    assert len(read) == 1


def test_an_event_that_was_committed_late_is_not_missed(study):
    study.append([said(1, "ann", SOLID), said(2, "ann", SOLID), said(3, "ann", GASEOUS)])
    with study._database.read() as connection:
        whole = read_log(connection)
        assert read_log(connection, (whole[0], whole[2])) == whole


def test_an_event_sent_twice_stands_in_the_log_once(study):
    event = said(1, "ann", SOLID)
    assert study.append([event]) == study.append([event, event])[:1]
    assert len(study.log()) == 1
    other = LabelEvent(2, "ann", "expert", (1.0, 0.0, 0.0), uuid=event.uuid)
    with pytest.raises(DataError, match="another event has that uuid; expected a new one"):
        study.append([other])


def test_events_are_appended_all_or_none(study):
    with pytest.raises(DataError, match="label of sample 99: not in the study; expected one"):
        study.append([said(1, "ann", SOLID), said(99, "ann", SOLID)])
    with pytest.raises(DataError, match="source 'x'"):
        study.append([said(1, "ann", SOLID), said(2, "ann", SOLID, "x")])
    assert study.log() == ()


def test_undo_of_a_study_is_an_event_of_its_own(study):
    study.append([said(1, "ann", SOLID, batch="one"), said(2, "ann", SOLID, batch="one")])
    study.undo("one", "ann")
    assert [event.source for event in study.log()] == ["expert", "expert", "undo", "undo"]
    assert (study.labels().y == -1).all()


def test_columns_come_in_the_order_of_the_classes_asked_for(study):
    study.append([said(1, "ann", (0.1, 0.2, 0.7))])
    labels = study.labels(classes=("solid", "artifact", "gaseous"))
    assert_array_equal(labels.soft[0], [0.7, 0.1, 0.2])
    assert labels.y[0] == 0
    with pytest.raises(SettingsError, match="classes a, b: expected those of the study, artifact"):
        study.labels(classes=("a", "b"))


def test_tens_of_thousands_of_labels_are_appended_at_once(study):
    events = [said(1 + n % 7, f"who{n % 3}", SOLID, batch="many") for n in range(20_000)]
    assert len(study.append(events)) == 20_000
    assert len(study.votes()[0]) == 3

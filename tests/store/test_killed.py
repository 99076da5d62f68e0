"""Two processes append labels at once and are killed in the middle: what was acknowledged stays."""

import subprocess
import sys
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from emboscope.store import Study
from emboscope.store.labels import fold
from store.studies import add
from store.writer import word

WRITER = Path(__file__).with_name("writer.py")
WRITERS = ("ann", "bob")
AGAIN = 3  # acknowledged labels that are sent once more, as after an answer that was lost


def start(path, annotator, first, end):
    command = [sys.executable, WRITER, path, annotator, str(first), str(end)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def write_and_kill(path, acknowledged, end, kill_after):
    """Let all write, kill all once the first has so many more; what each was told is kept."""
    running = {
        name: start(path, name, max(0, len(told) - AGAIN), end)
        for name, told in acknowledged.items()
    }
    leader = running[WRITERS[0]]
    for _ in range(kill_after):
        acknowledged[WRITERS[0]].add(int(leader.stdout.readline()))
    for process in running.values():
        process.kill()
    collect(running, acknowledged)


def collect(running, acknowledged):
    for name, process in running.items():
        rest = process.communicate()[0].split("\n")
        acknowledged[name] |= {int(line) for line in rest[:-1]}  # the last may be cut off


def check(path, acknowledged):
    """Everything acknowledged is in the log, once."""
    with Study.open(path) as study:
        uuids = [event.uuid for event in study.log()]
    assert len(uuids) == len(set(uuids))
    told = {f"{name}-{number}" for name, numbers in acknowledged.items() for number in numbers}
    assert told <= set(uuids)


def kill_again_and_again(path, url, each, kills, kill_after):
    with Study.create(path, url) as study:
        add(study, "r1", "s1", n=7)
    acknowledged = {name: set() for name in WRITERS}
    for _ in range(kills):
        write_and_kill(path, acknowledged, each, kill_after)
        check(path, acknowledged)
    running = {
        name: start(path, name, max(0, len(told) - AGAIN), each)
        for name, told in acknowledged.items()
    }
    collect(running, acknowledged)
    check(path, acknowledged)
    with Study.open(path) as study:
        log, labels, ids = study.log(), study.labels(), study.samples().ids
    assert len(log) == each * len(WRITERS)
    wanted = fold([word(name, number) for name in WRITERS for number in range(each)], ids, 3)
    for name in ("y", "soft", "annotator"):
        assert_array_equal(getattr(fold(log, ids, 3), name), getattr(labels, name))
        assert_array_equal(getattr(labels, name), getattr(wanted, name))


def test_acknowledged_labels_outlive_a_kill(tmp_path, url):
    kill_again_and_again(tmp_path / "study", url, each=60, kills=1, kill_after=20)


@pytest.mark.slow
def test_a_thousand_acknowledged_labels_outlive_four_kills(tmp_path, url):
    kill_again_and_again(tmp_path / "study", url, each=500, kills=4, kill_after=90)

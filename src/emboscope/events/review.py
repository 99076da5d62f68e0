"""In which order a person should look at the candidates."""

from collections.abc import Sequence

from emboscope.events.event import VERDICTS, Event


def review_order(events: Sequence[Event]) -> list[int]:
    """Indices of the events, those that most likely are emboli first.

    Emboli, then doubtful events, then long ones, then artifacts; within each the stronger first.

    Examples
    --------
    >>> weak = Event(1, .02, 1, 6.0, 20, 600, None, False, False, "embolus")
    >>> strong = Event(2, .02, 2, 9.0, 20, 600, None, False, False, "embolus")
    >>> tap = Event(3, .02, 3, 30.0, 0, 200, None, False, False, "artifact")
    >>> review_order([tap, weak, strong])
    [2, 1, 0]
    """
    rank = {verdict: k for k, verdict in enumerate(("embolus", "doubtful", "too_long", "artifact"))}
    assert set(rank) == set(VERDICTS)
    return sorted(range(len(events)), key=lambda k: (rank[events[k].verdict], -events[k].hbr_db))

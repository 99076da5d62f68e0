"""How long work tells what it has done: a callable, which does nothing by default."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # (what, done, total)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""

"""A dict of alternatives that names its entries when asked for one it lacks."""

import difflib
from typing import TypeVar

from emboscope.errors import SettingsError

T = TypeVar("T")


class Registry(dict[str, T]):
    """Alternatives of one kind, by name.

    Parameters
    ----------
    kind : str
        What an entry is, for the error message: `"detector"`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __missing__(self, name: str) -> T:
        near = difflib.get_close_matches(name, self, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "Choose one of these."
        raise SettingsError(f"{self.kind} '{name}': unknown; expected {', '.join(self)}. {hint}")

"""Names of a model as C takes them."""

import re
from collections.abc import Iterable

from emboscope.errors import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = frozenset((
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "while", "inputs", "probabilities", "MODEL", "ARENA",
    "emb_run", "emb_check",
))  # fmt: skip
_OWN_PREFIX = "emb"  # of the runtime's functions


def check_prefix(prefix: str) -> None:
    """Refuse what no name in C can begin with, or what the runtime's own begin with."""
    if not _NAME.fullmatch(prefix):
        raise SettingsError(f"prefix '{prefix}': no name in C; expected letters, digits and _.")
    if prefix == _OWN_PREFIX:
        raise SettingsError(f"prefix '{prefix}': taken by the runtime; expected another.")


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A name in C for each view, no two alike: the view's own where that can be."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not _NAME.fullmatch(plain) or plain in _TAKEN:
            plain = f"view_{plain}"
        while plain in found.values():
            plain += "_"
        found[name] = plain
    return found


def plain_text(name: str) -> str:
    """A name of a class that neither ends a comment or a string nor is read as a trigraph."""
    return re.sub(r"[^\w .,:;+()='%-]", "_", name)

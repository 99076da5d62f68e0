"""The one base of all settings: frozen, and an unknown key is refused."""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from emboscope.errors import SettingsError


class Settings(BaseModel):
    """A group of settings. Its subclasses hold every default of the package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, object], where: str = "settings") -> Self:
        """Build from plain values.

        Raises
        ------
        SettingsError
            For an unknown key, with the nearest known one, or for a value out of range.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError(_sentence(cls, where, error)) from error


def _sentence(cls: type[BaseModel], where: str, error: ValidationError) -> str:
    """The first problem that pydantic found, in one sentence."""
    first = error.errors()[0]
    place = ".".join([where, *map(str, first["loc"])])
    if first["type"] == "missing":
        return f"{place}: missing; expected a value. Add it."
    if first["type"] != "extra_forbidden":
        found = repr(first["input"])
        return f"{place}: {found}; {first['msg'][0].lower()}{first['msg'][1:]}."
    known = list(_group(cls, first["loc"][:-1]).model_fields)
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
    return f"{place}: unknown setting. {hint}"


def _group(cls: type[BaseModel], where: tuple[int | str, ...]) -> type[BaseModel]:
    """The settings class inside another that a path leads to; numbers are places in a list."""
    for name in where:
        if isinstance(name, int):
            continue
        field = cls.model_fields.get(name)
        inner = None if field is None else _settings_in(field.annotation)
        if inner is None:
            break
        cls = inner
    return cls


def _settings_in(annotation: object) -> type[BaseModel] | None:
    """The settings class that a field holds: itself, in a list, or beside None."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def read_toml(path: Path) -> dict[str, object]:
    """The content of a TOML file; SettingsError, with the line, when it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings '{path}': {error.strerror}. Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings '{path}': not TOML ({error}). Mend that line.") from error


def with_changes(
    values: Mapping[str, object], changes: Sequence[str], example: str
) -> dict[str, object]:
    """Values with each `key=value` set; a dot in the key leads into a group.

    A value is read as TOML (`[1, 2]`, `true`), or else taken as it stands.

    Parameters
    ----------
    values : mapping
    changes : sequence of str
    example : str
        For the message.

    Raises
    ------
    SettingsError
        If a change has no `=`.
    """
    result: dict[str, object] = dict(values)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise SettingsError(f"--set {change}: expected key=value, for example {example}.")
        *groups, last = key.split(".")
        new: dict[str, object] = {last: _value(text)}
        for group in reversed(groups):
            new = {group: new}
        result = merged(result, new)
    return result


def merged(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """A nested dict with the values of another in place of its own."""
    result = dict(base)
    for key, value in changes.items():
        inner = result.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merged(inner, value)
        result[key] = value
    return result


def _value(text: str) -> object:
    """A value as TOML, or the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def write_toml(path: Path, settings: Settings) -> None:
    """Write all effective settings; None, which TOML lacks, is left out."""
    path.write_text(
        tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)), encoding="utf-8"
    )

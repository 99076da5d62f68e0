"""The errors that a user can cause, and the exit code of each."""


class EmboscopeError(Exception):
    """Something went wrong that one sentence explains."""

    exit_code = 1


class SettingsError(EmboscopeError, ValueError):
    """A setting, option or request that cannot be."""

    exit_code = 2


class DataError(EmboscopeError, ValueError):
    """Data that cannot be used."""

    exit_code = 3

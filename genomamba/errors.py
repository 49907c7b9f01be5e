"""Errors that a caller may want to catch. Each carries one line that says where, what, and what to do."""

__all__ = ["ConfigError", "DataError", "GenomambaError", "RunError"]


class GenomambaError(Exception):
    """Any failure that the user can mend. The CLI prints its message and exits with `exit_code`."""

    exit_code = 1


class DataError(GenomambaError):
    """An input file is missing, unreadable or malformed; the message starts with `file:` or `file:line:`."""


class ConfigError(GenomambaError, ValueError):
    """An option, or a combination of options, that cannot be used; the CLI exits with 2."""

    exit_code = 2


class RunError(GenomambaError):
    """A run cannot start or go on: a folder in the way, a loss that is not finite, a checkpoint that does not fit."""

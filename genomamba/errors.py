"""Errors that a caller may want to catch. Each carries one line that says where, what, and what to do."""

__all__ = ["ConfigError", "DataError", "GenomambaError", "RunError"]


class GenomambaError(Exception):
    """Any failure that the user can mend. The CLI prints its message and exits with `exit_code`."""

    exit_code = 1


class DataError(GenomambaError):
    """An input file is missing, unreadable or malformed; the message starts with `file:` or `file:line:`."""


class ConfigError(GenomambaError, ValueError):
    """An option, or a combination of options, that cannot be used; the CLI exits with 2.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    option : str, optional
        The argument that it is wrong with, as Python spells it: the message begins with it, and the CLI shows its flag.
    """

    exit_code = 2

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message if option is None else f"{option} {message}")
        self.option = option


class RunError(GenomambaError):
    """A run cannot start or go on: a folder in the way, a loss that is not finite, a checkpoint that does not fit."""

"""The errors of the house. Each message says what was asked, what was found and what to do, in at most two lines."""

import difflib
from collections.abc import Iterable


class VelaturaError(Exception):
    """Root of every error that Velatura raises on purpose."""


class InputError(VelaturaError):
    """The user's input or option cannot be used; the command line prints the message and exits with 2."""


class FileFormatError(InputError):
    """A file is not what its format promises: truncated, mislabelled, or of an unknown kind."""


class CalibrationError(InputError):
    """The energy axis cannot be found with confidence."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean "Fe-Ka"?``, or an empty string when nothing known is close to `name`.

    >>> did_you_mean("Fe-ka", ["Fe-Ka", "Cu-Ka"])
    '; did you mean "Fe-Ka"?'
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""

"""Errors of a user, each explained in one sentence. The command line prints it and exits with code 2."""

import difflib
from collections.abc import Iterable, Mapping


class InputError(ValueError):
    """Bad input from outside: its message says what was expected, what came, and what to do."""


class OutputError(InputError):
    """A result that cannot be written (a full disk, no permission): who makes many files stops at the first."""


def unknown(
    kind: str, given: str, known: Iterable[str], *, answers: Mapping[str, list[str]] | None = None
) -> InputError:
    """Return the error for a name that is not in a table, with the nearest right names.

    Args:
        kind: what was looked up, as the user knows it ("preset", "key", "output suffix").
        given: what came.
        known: every name that may have been meant.
        answers: the right names for those of `known` that are none themselves, such as former ones; None: all are.
    """
    answers = answers or {}
    known = sorted(known)
    near = difflib.get_close_matches(given, known, n=3, cutoff=0.5)
    near = list(dict.fromkeys(right for name in near for right in answers.get(name, [name])))[:3]
    known = sorted({right for name in known for right in answers.get(name, [name])})
    hint = f"did you mean {' or '.join(repr(name) for name in near)}?" if near else f"known are: {', '.join(known)}"
    return InputError(f"unknown {kind} {given!r}: {hint}")

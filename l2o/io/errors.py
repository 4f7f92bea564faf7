"""The one kind of error that is the user's to mend."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in what the user asked for.

    Its message is one line: what was expected, what arrived, what to do. The scripts print
    that line and nothing else.
    """

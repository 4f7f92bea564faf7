"""Words of a command line that Hydra and a shell read as they are meant."""

from __future__ import annotations

import re
import shlex
import sys

from hydra.core.override_parser.types import Quote, QuotedString


def quoted(text: str) -> str:
    """A text as Hydra reads it for the value of a setting, whatever is in it.

    Args:
        text: Hydra would read `=`, brackets, commas and `${…}` in it as syntax.

    Returns:
        The text in quotes; without them if it is a plain absolute path.
    """
    if re.fullmatch(r"/[\w./+-]*", text, re.ASCII):
        return text
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(literal, Quote.double).with_quotes()


def shell_word(text: str) -> str:
    """A text as one word of a command that can be copied from this terminal into a shell.

    Args:
        text: What the program shall receive.

    Returns:
        The text, in quotes if it needs them; `$'…'`, with numbers for letters, if there are some
        that the terminal does not show.
    """
    encoding = sys.stderr.encoding or "ascii"
    if text.isprintable() and text == text.encode(encoding, "replace").decode(encoding):
        return shlex.quote(text)
    escaped = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\" else f"\\x{byte:02x}"
        for byte in text.encode(errors="surrogateescape")
    )
    return f"$'{''.join(escaped)}'"

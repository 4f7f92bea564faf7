"""Docstrings as Markdown: formulas keep their stars and underscores, sources are paragraphs."""

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Changes what Markdown or griffe would take for markup."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = shown(obj.docstring.value)


def shown(text: str) -> str:
    """A docstring with `z*` and `∇_y` escaped, its source in one paragraph, its example as code."""
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    text = re.sub(r"^Source: ((?:.|\n+ +)*)", _source, text, flags=re.MULTILINE)
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"(?<=\w)\*|(?<=∇)_", r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def _source(found: re.Match[str]) -> str:
    return f"**Source:** {' '.join(found[1].split())}"

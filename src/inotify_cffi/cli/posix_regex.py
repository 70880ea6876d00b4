"""POSIX extended regular expressions, as inotifywait takes them, for Python's `re`.

They are glibc's, with its ``\\<``, ``\\>``, ``\\w`` and so on. What is ASCII in the
C locale, in which inotifywait runs, is ASCII here; but a character is a character
and not a byte.
"""

from __future__ import annotations

import re
import string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Translation(NamedTuple):
        pattern: re.Pattern[str]
        heedless: bool

else:
    from collections import namedtuple

    Translation = namedtuple("Translation", ["pattern", "heedless"])
    Translation.__doc__ = "A pattern for `re`; see `translate`."
    Translation.heedless.__doc__ = """Whether nothing in it looks at what follows a
        match: then what begins with a match matches, too."""

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": re.escape(string.punctuation),
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_WORD = "[a-zA-Z0-9_]"
_AFTER_WORD, _BEFORE_WORD = f"(?<={_WORD})", f"(?={_WORD})"
_NOT_AFTER_WORD, _NOT_BEFORE_WORD = f"(?<!{_WORD})", f"(?!{_WORD})"
_EDGE = f"(?:{_NOT_AFTER_WORD}{_BEFORE_WORD}|{_AFTER_WORD}{_NOT_BEFORE_WORD})"
_ANCHORS = {
    "<": _NOT_AFTER_WORD + _BEFORE_WORD,
    ">": _AFTER_WORD + _NOT_BEFORE_WORD,
    "b": _EDGE,
    "B": f"(?!{_EDGE})",
    "`": "\\A",
    "'": "\\Z",
}
_LOOKING_AHEAD = frozenset("<>bB'")
_SETS = {
    "w": _WORD,
    "W": "[^a-zA-Z0-9_]",
    "s": "[ \\t-\\r]",
    "S": "[^ \\t-\\r]",
}
_INTERVAL = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_MOST_REPEATS = 32767  # RE_DUP_MAX


def translate(expression: str, ignore_case: bool) -> Translation:
    """Translate a POSIX extended regular expression.

    Raises:
        ValueError: it is none; the text says why.
    """
    translator = _Translator(expression)
    translated = translator.translate()
    how = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    try:
        pattern = re.compile(translated, how)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return Translation(pattern, translator.heedless)


class _Translator:
    def __init__(self, expression: str) -> None:
        self._text = expression
        self._at = 0
        self._out: list[str] = []
        self._atom: int | None = None  # where in _out what can be repeated begins
        self._open: list[tuple[int, int]] = []
        self._groups = 0
        self._closed: set[int] = set()
        self.heedless = True

    def translate(self) -> str:
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter == "\\":
                self._escape()
            elif letter == "[":
                self._put(self._bracket())
            elif letter == "^":
                self._put_anchor("\\A")
            elif letter == "$":
                self.heedless = False
                self._put_anchor("\\Z")
            elif letter == "(":
                self._groups += 1
                self._open.append((len(self._out), self._groups))
                self._out.append("(")
                self._atom = None
            elif letter == ")" and self._open:
                self._atom, number = self._open.pop()
                self._closed.add(number)
                self._out.append(")")
            elif letter == "|":
                self._out.append("|")
                self._atom = None
            elif letter in "*+?":
                self._repeat(letter)
            elif letter == "{":
                self._interval()
            else:
                self._put("." if letter == "." else re.escape(letter))
        if self._open:
            raise ValueError("unmatched (")
        return "".join(self._out)

    def _put(self, atom: str) -> None:
        self._atom = len(self._out)
        self._out.append(atom)

    def _put_anchor(self, anchor: str) -> None:
        self._out.append(anchor)
        self._atom = None

    def _escape(self) -> None:
        if self._at == len(self._text):
            raise ValueError("trailing backslash")
        letter = self._text[self._at]
        self._at += 1
        if letter in _ANCHORS:
            self.heedless = self.heedless and letter not in _LOOKING_AHEAD
            self._put_anchor(_ANCHORS[letter])
        elif letter in _SETS:
            self._put(_SETS[letter])
        elif letter in "123456789":
            if int(letter) not in self._closed:
                raise ValueError(f"there is no group \\{letter}")
            self._put(f"(?:\\{letter})")
        else:
            self._put(re.escape(letter))

    def _repeat(self, how: str) -> None:
        if self._atom is None:
            raise ValueError("nothing to repeat")
        repeated = "".join(self._out[self._atom :])
        # In a group of its own: `re` gives `a*?` and `a*+` other meanings.
        self._out[self._atom :] = [f"(?:{repeated}){how}"]

    def _interval(self) -> None:
        found = _INTERVAL.match(self._text, self._at - 1)
        if found is None or found.group() in ("{}", "{,}"):
            raise ValueError("a { that begins no interval")
        least, comma, most = found.groups()
        numbers = [int(number) for number in (least, most) if number]
        if numbers != sorted(numbers) or numbers[-1] > _MOST_REPEATS:
            raise ValueError(f"invalid interval {found.group()}")
        self._at = found.end()
        self._repeat(f"{{{least or 0}{comma}{most}}}")

    def _bracket(self) -> str:
        """Translate what follows ``[``, to its ``]``."""
        negated = self._text.startswith("^", self._at)
        self._at += negated
        begin = self._at
        parts: list[str] = []
        while True:
            if self._at >= len(self._text):
                raise ValueError("unmatched [")
            if self._text[self._at] == "]" and self._at > begin:
                break
            if self._text.startswith("[:", self._at):
                name = self._named(":")
                if name not in _CLASSES:
                    raise ValueError(f"there is no class [:{name}:]")
                parts.append(_CLASSES[name])
                continue
            first = self._element()
            if self._text.startswith("-", self._at) and not self._text.startswith(
                "-]", self._at
            ):
                self._at += 1
                if self._text.startswith("[:", self._at):
                    raise ValueError("a class at the end of a range")
                last = self._element()
                if last < first:
                    raise ValueError(f"invalid range {first}-{last}")
                parts.append(f"{re.escape(first)}-{re.escape(last)}")
            else:
                parts.append(re.escape(first))
        self._at += 1
        return f"[{'^' * negated}{''.join(parts)}]"

    def _element(self) -> str:
        for kind in ".=":
            if self._text.startswith("[" + kind, self._at):
                element = self._named(kind)
                if len(element) != 1:
                    raise ValueError(f"there is no [{kind}{element}{kind}]")
                return element
        if self._at >= len(self._text):
            raise ValueError("unmatched [")
        self._at += 1
        return self._text[self._at - 1]

    def _named(self, kind: str) -> str:
        end = self._text.find(kind + "]", self._at + 2)
        if end < 0:
            raise ValueError("unmatched [")
        name = self._text[self._at + 2 : end]
        self._at = end + 2
        return name

"""Pieces of the small languages that people write: conditions and formulas."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from dteg.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text.

    Attributes:
        kind: text, name, number, word, sign or end.
        text: As written.
        at: 1-based place of its first character.
    """

    kind: str
    text: str
    at: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of some words of the language."""
        return self.kind == "word" and self.text.lower() in words

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of some signs."""
        return self.kind == "sign" and self.text in signs

    @property
    def unquoted(self) -> str:
        """What a text or a name means: without its quotes, which are written twice inside."""
        if self.kind not in ("text", "name"):
            return self.text
        quote = self.text[0]
        return self.text[1:-1].replace(quote * 2, quote)


def split(
    text: str, pattern: re.Pattern[str], max_number: int, wrong: Callable[[str, Token], ConfigError]
) -> list[Token]:
    """Return the pieces of a text, the last of them of the kind `end`.

    Args:
        text: What was written.
        pattern: Matches one piece, with a group named after its kind, and the space before it.
        max_number: The most characters that a number may have.
        wrong: Makes an error of a message and the piece that it is about.

    Raises:
        ConfigError: Something in it is no piece of the language.
    """
    tokens: list[Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = pattern.match(text, at)
        if match is None or "\0" in match[0]:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            odd = text[start]
            what = "the quote is never closed" if odd in "'\"" else f"{odd!r} means nothing here"
            raise wrong(what, Token("sign", odd, start + 1))
        kind = str(match.lastgroup)
        token = Token(kind, match[kind], match.start(kind) + 1)
        if kind == "number" and len(token.text) > max_number:
            raise wrong(f"a number of more than {max_number} characters", token)
        tokens.append(token)
        at = match.end()
    return [*tokens, Token("end", "", end + 1)]


class TokenReader:
    """Reads pieces one after the other; parsers are made of it. The end can be taken any number of times."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens, self._next = tokens, 0

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _takes_word(self, *words: str) -> Token | None:
        return self._take() if self._peek().is_word(*words) else None

    def _takes_sign(self, *signs: str) -> Token | None:
        return self._take() if self._peek().is_sign(*signs) else None

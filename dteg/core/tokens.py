"""Pieces of the small languages that people write: conditions and formulas."""

from dataclasses import dataclass


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

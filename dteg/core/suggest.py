"""Near misses, for messages about unknown names."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the nearest known word, or an empty text."""
    import difflib  # takes longer to import than most runs need it

    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    # Words that differ in capital letters alone are near, too: ID for id.
    same = [name for name in names if name.casefold() == word.casefold()]
    return f'did you mean "{(same or near)[0]}"?' if same or near else ""

"""Did you mean: the nearest known word for each unknown one."""

from collections.abc import Mapping, Sequence

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from registry.search.words import query_words

_FROM_LETTERS = 4
# Share of letters that have to be right: two errors in a word of eight.
_LEAST = 0.7


def did_you_mean(text: str, unknown: Sequence[str], vocabulary: Mapping[str, int]) -> str | None:
    """Return the text with its unknown words replaced; None if no known word is near.

    Args:
        text: What was typed.
        unknown: Its words that no component has.
        vocabulary: Known words, with the number of components that have them.
    """
    replaced = {word: nearest for word in unknown if (nearest := _nearest(word, vocabulary))}
    if not replaced:
        return None
    return " ".join(replaced.get(word, word) for word in query_words(text))


def _nearest(word: str, vocabulary: Mapping[str, int]) -> str | None:
    if len(word) < _FROM_LETTERS:
        return None
    best = process.extract(
        word, vocabulary.keys(), scorer=DamerauLevenshtein.normalized_similarity, score_cutoff=_LEAST, limit=3
    )
    if not best:
        return None
    return str(max(best, key=lambda found: (found[1], vocabulary[found[0]]))[0])

"""What `check_pattern` accepts, PostgreSQL accepts too, and matches as Python's engine does."""

import random
import re
from contextlib import suppress

import psycopg
import pytest

from dteg.quality.patterns import check_pattern

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PATTERNS = 2000
TOKENS = [
    "a", "b", "1", "-", "^", "$", ".", "*", "+", "?", "|", "(", ")", "(?:", "[", "[^", "]", "{", "}", "{2}", "{1,3}",
    "{2,}", "{,2}", ",", r"\d", r"\w", r"\s", r"\W", r"\.", r"\\", r"\]", r"\-", "(?i)", "a-b", "\n", "_", "??", "=", ":", "<",
]  # fmt: skip
TEXTS = ["", "a", "ab", "b1", "-", "aa\nb", "A", "_", "a.b", "\\", "]", "111", "[", " ", "{", "a{2}"]


def random_patterns(rng):
    found = []
    while len(found) < PATTERNS:
        with suppress(ValueError):
            found.append(check_pattern("".join(rng.choices(TOKENS, k=rng.randint(1, 7)))))
    return found


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_accepted_patterns_mean_the_same_on_the_server(postgres_url):
    """Tried: without the `brace` case of `check_pattern` PostgreSQL refuses one of them and this fails."""
    query = "SELECT t ~ %s FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for pattern in random_patterns(random.Random(3)):
            found = [matched for (matched,) in connection.execute(query, [pattern, TEXTS])]
            if "$" not in pattern or "[" not in pattern:  # Python's `$` also stands before a last line break
                python = re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.DOTALL)
                assert found == [bool(python.search(text)) for text in TEXTS], pattern

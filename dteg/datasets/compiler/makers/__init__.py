"""How the calls of functions are put together: `numbers`, `texts`, `times`, and `choices` among values."""

from collections.abc import Callable, Sequence

from dteg.datasets.compiler.terms import Term, TextCompare

Make = Callable[[Sequence[Term], TextCompare], Term]
"""Makes the call of a function of its arguments, which have been checked."""

"""Whether bytes are CSV that every program reads alike, and where a record ends in them."""

from operator import itemgetter

# The first and the last byte, as a number.
_FIRST, _LAST = itemgetter(0), itemgetter(-1)


class StrictCsv:
    """Looks whether bytes are CSV that every program reads alike."""

    def __init__(self, delimiter: bytes, quote: bytes) -> None:
        """Begin in front of a record."""
        self._quote = quote
        self._borders = frozenset(delimiter + b"\r\n")
        self._tail = self._stretch = b"\n"
        self.is_open = False

    def follows(self, block: bytes) -> int | None:
        """Return how many of the next bytes end behind a line break of a record, or None if they are not strict.

        Every stretch outside of quotes must begin and end with a delimiter or a line break, or be
        empty between two quotes that stand for one. And no line may begin with the two characters
        that end the data for COPY.
        """
        if b"\\" in block or self._tail.endswith(b"\\"):
            joined = self._tail + block
            if b"\n\\." in joined or b"\r\\." in joined:
                return None
        self._tail = (self._tail + block[-2:])[-2:]
        stretches = block.split(self._quote)
        cut = self._behind_last_break(stretches, len(block))
        # Of a stretch that began in an earlier block only the ends are kept.
        stretches[0] = b"" if self.is_open else _ends(self._stretch + stretches[0])
        outside = list(filter(None, stretches[self.is_open : -1 : 2]))
        if not (
            self._borders.issuperset(map(_FIRST, outside)) and self._borders.issuperset(map(_LAST, outside))
        ):
            return None
        self.is_open ^= len(stretches) % 2 == 0
        self._stretch = b"" if self.is_open else _ends(stretches[-1])
        return cut if not self._stretch or self._stretch[0] in self._borders else None

    def _behind_last_break(self, stretches: list[bytes], end: int) -> int:
        """Return how many bytes stand before the end of the last line break outside of quotes."""
        for index in range(len(stretches) - 1, -1, -1):
            stretch = stretches[index]
            if index % 2 == self.is_open:
                # The last byte may be the first half of a line break.
                cr_end = len(stretch) - 1 if index == len(stretches) - 1 else len(stretch)
                at = max(stretch.rfind(b"\n"), stretch.rfind(b"\r", 0, cr_end))
                if at >= 0:
                    return end - len(stretch) + at + 1
            end -= len(stretch) + 1
        return 0


def _ends(stretch: bytes) -> bytes:
    return stretch[:1] + stretch[1:][-1:]

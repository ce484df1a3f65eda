"""What separates the fields of a CSV file, where nobody said it."""

import gzip
import re
from pathlib import Path

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_OTHERS = (";", "\t", "|")
_HEADER_BYTES = 1 << 16


def delimiter_of(path: Path, encoding: str = "utf-8") -> str | None:
    """Return the delimiter that the first line shows, if it is another than the comma.

    A line with a comma outside of quotes is taken at its word: `a;b,c` may be either, and a comma is the rule.

    Args:
        path: A file, or one packed by gzip.
        encoding: How its text is encoded.

    Returns:
        `;`, a tab, `|`, or None.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            head = file.read(_HEADER_BYTES).decode(encoding, "replace")
    except (OSError, EOFError, LookupError):
        return None  # whoever reads the file says why it cannot be read
    line = _QUOTED.sub("", head.lstrip("\ufeff").partition("\n")[0])
    if "," in line:
        return None
    best = max(_OTHERS, key=line.count)
    return best if best in line else None

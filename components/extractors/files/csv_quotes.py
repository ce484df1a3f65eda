"""Finds the quote that is never closed; slow, so only asked when something is wrong."""

import re

from .text_stream import CHUNK_BYTES, TextStream


def unclosed_quote_line(stream: TextStream, delimiter: str, quote: str, line: int) -> int | None:
    """Return the 1-based line of the quote that is still open at the end of the file, if there is one.

    Args:
        stream: Open behind the header.
        delimiter: One character between fields.
        quote: One character around fields; doubled inside them.
        line: Number of the first line of `stream`.
    """
    mark = quote.encode()
    token = re.compile(b"[" + re.escape(mark + delimiter.encode()) + rb"\r\n]")
    offset = field_start = 0
    closed_at = -2
    opened_line = last_opened = 0
    while data := stream.read(CHUNK_BYTES):
        for match in token.finditer(data):
            at = offset + match.start()
            line += match[0] == b"\n"
            if match[0] == mark:
                if opened_line:
                    opened_line, closed_at = 0, at
                elif at == closed_at + 1:
                    # Two in a row are one quote inside the field, which goes on.
                    opened_line = last_opened
                elif at == field_start:
                    opened_line = last_opened = line
            elif not opened_line:
                field_start = at + 1
        offset += len(data)
    return opened_line or None

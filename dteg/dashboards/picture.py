"""A whole dashboard as one picture: each tile drawn by itself, then put in its place on one SVG."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from dteg.charts.picture import svg_of
from dteg.charts.render import painter
from dteg.core.errors import DtegError, MissingExtraError
from dteg.dashboards.models import COLUMNS, Dashboard, Tile
from dteg.tokens.visible import Visible

if TYPE_CHECKING:
    from dteg.dashboards.service import Dashboards

MIN_WIDTH, MAX_WIDTH = 480, 2_400
_ROW, _GAP, _MARGIN, _HEAD, _TITLE = 80, 12, 24, 64, 30
_FONT = "Inter, Segoe UI, Roboto, Liberation Sans, sans-serif"
_SIZE = re.compile(r'<svg[^>]*?\bwidth="([\d.]+)"[^>]*?\bheight="([\d.]+)"[^>]*>')
_IDS = re.compile(r'(\bid="|url\(#|href="#)')
_MARKS = re.compile(r"[*_`#>]+|\[([^\]]*)\]\([^)]*\)")


def dashboard_png(
    service: "Dashboards", board: Dashboard, width: int, values: Mapping[str, Sequence[str]], sees: Visible
) -> bytes:
    """Return a PNG; a tile that cannot be drawn says why in its place.

    Raises:
        MissingExtraError: The library that draws is not installed.
    """
    spec = board.spec
    rows = max((tile.y + tile.h for tile in spec.tiles), default=2)
    height = _HEAD + rows * (_ROW + _GAP) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" fill="#fafaf9"/>',
        _words(spec.title, _MARGIN, 40, size=22, weight=700),
    ]
    for number, tile in enumerate(spec.tiles):
        place = x, y, w, h = _place(tile, width)
        if tile.text is None:
            box = f'x="{x:.1f}" y="{y}" width="{w:.1f}" height="{h}" rx="8" fill="#ffffff" stroke="#e0e3e7"'
            parts.append(f"<rect {box}/>")
        parts.append(_inside(service, board, number, place, values, sees))
    parts.append("</svg>")
    return painter().svg_png("".join(parts))


def _place(tile: Tile, width: int) -> tuple[float, int, float, int]:
    """Return left, top, width and height in pixels."""
    column = (width - 2 * _MARGIN - (COLUMNS - 1) * _GAP) / COLUMNS
    left = _MARGIN + tile.x * (column + _GAP)
    return (
        left,
        _HEAD + tile.y * (_ROW + _GAP),
        tile.w * (column + _GAP) - _GAP,
        tile.h * (_ROW + _GAP) - _GAP,
    )


def _inside(  # noqa: PLR0917 - the parts of a picture
    service: "Dashboards",
    board: Dashboard,
    number: int,
    place: tuple[float, int, float, int],
    values: Mapping[str, Sequence[str]],
    sees: Visible,
) -> str:
    x, y, w, h = place
    tile = board.spec.tiles[number]
    if tile.text is not None:
        return _text(tile.text, x, y + 24, w, h)
    try:
        drawing = service.tile(board.slug, number, values, sees)
        title = _words(tile.title or drawing.title, x + 16, y + 26, size=13, weight=600)
        svg = svg_of(drawing, max(60, int(w) - 16), max(40, h - _TITLE - 8), title=False)
        return title + nested(svg, f"t{number}-", x + 8, y + _TITLE, w - 16, h - _TITLE - 4)
    except MissingExtraError:
        raise
    except DtegError as error:
        return _text(str(error), x + 16, y + 30, w - 32, h)


def nested(svg: str, prefix: str, x: float, y: float, w: float, h: float) -> str:  # noqa: PLR0917 - as above
    """Return an SVG as a part of another one: its ids get a prefix, for two parts would have the same ones."""
    found = _SIZE.search(svg)
    if found is None:
        raise DtegError("the chart was not drawn as an SVG")
    inner = _IDS.sub(lambda each: each[1] + prefix, svg[found.end() :])
    size = f"0 0 {found[1]} {found[2]}"
    return (
        f'<svg x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" viewBox={quoteattr(size)}'
        f' preserveAspectRatio="xMinYMin meet">{inner}'
    )


def _text(text: str, x: float, y: float, w: float, h: float) -> str:
    """Return Markdown as plain lines; headings are bold."""
    drawn, down = [], 0
    for line in text.splitlines():
        size = 18 if line.startswith("#") else 13
        plain = _MARKS.sub(lambda found: found[1] or "", line).strip()
        for part in textwrap.wrap(plain, max(10, int(w / size * 1.8))) or [""]:
            if down <= h - 36:
                drawn.append(_words(part, x, y + down, size=size, weight=700 if size > 13 else 400))
            down += size + 8
    return "".join(drawn)


def _words(text: str, x: float, y: float, *, size: int, weight: int = 400) -> str:
    clean = "".join(each for each in text if each >= " ")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{_FONT}" font-size="{size}" font-weight="{weight}"'
        f' fill="#15191e">{escape(clean)}</text>'
    )

"""The tables as a drawing: a box for each, a line for each reference. Made on the server, without scripts."""

from dataclasses import dataclass

from markupsafe import Markup

from dteg.normalize.models import Plan, PlannedTable

_WIDTH, _GAP, _LINE, _HEAD, _APART = 190, 70, 18, 26, 18
_MAX_ROWS = 14
_MAX_NAME = 24


@dataclass(frozen=True)
class _Box:
    table: PlannedTable
    x: float
    y: float

    @property
    def height(self) -> float:
        return _HEAD + _LINE * min(len(self.table.columns), _MAX_ROWS + 1) + 6

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def drawing(plan: Plan) -> Markup:
    """Return the tables as SVG: what refers stands left of what is referred to."""
    boxes = _placed(plan)
    width = max(box.x for box in boxes.values()) + _WIDTH + 1
    height = max(box.y + box.height for box in boxes.values()) + 1
    lines = Markup("").join(
        _line(boxes[table.name], boxes[reference.table])
        for table in plan.tables
        for reference in table.references
    )
    words = ", ".join(
        f"{table.name} refers to {' and '.join(each.table for each in table.references)}"
        for table in plan.tables
        if table.references
    )
    return Markup(
        '<svg class="er" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" role="img" aria-label="{}">{}{}</svg>'
    ).format(
        width,
        height,
        width,
        height,
        words or plan.root.name,
        lines,
        Markup("").join(map(_drawn, boxes.values())),
    )


def _placed(plan: Plan) -> dict[str, _Box]:
    """Return where each box is: in the column behind the furthest table that refers to it."""
    level = {table.name: 0 for table in plan.tables}
    for _ in plan.tables:
        for table in plan.tables:
            for reference in table.references:
                level[reference.table] = max(level[reference.table], level[table.name] + 1)
    bottom: dict[int, float] = {}
    boxes = {}
    for table in plan.tables:
        column = level[table.name]
        box = _Box(table, column * (_WIDTH + _GAP), bottom.get(column, 0.5))
        bottom[column] = box.y + box.height + _APART
        boxes[table.name] = box
    return boxes


def _line(from_: _Box, to: _Box) -> Markup:
    start, end = from_.x + _WIDTH, to.x
    middle = (start + end) / 2
    return Markup(
        '<path class="er-line" d="M{:.1f} {:.1f} C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}"/>'
    ).format(start, from_.middle, middle, from_.middle, middle, to.middle, end, to.middle)


def _drawn(box: _Box) -> Markup:
    table = box.table
    foreign = {name for reference in table.references for name in reference.columns}
    rows = []
    for number, name in enumerate(table.columns[:_MAX_ROWS]):
        kind = "er-key" if name in table.primary_key else "er-column"
        mark = " →" if name in foreign else ""
        rows.append(_text(kind, box.x + 10, box.y + _HEAD + _LINE * (number + 0.8), _short(name) + mark))
    if len(table.columns) > _MAX_ROWS:
        more = f"and {len(table.columns) - _MAX_ROWS} more"
        rows.append(_text("er-column", box.x + 10, box.y + _HEAD + _LINE * (_MAX_ROWS + 0.8), more))
    title = _text("er-title", box.x + 10, box.y + 18, _short(table.name))
    return Markup(
        '<g><rect class="er-box" x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}" rx="6"/>{}{}</g>'
    ).format(box.x + 0.5, box.y, _WIDTH, box.height, title, Markup("").join(rows))


def _text(kind: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(kind, x, y, text)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"

"""A query said in words: the question of an example that nobody has put into words."""

from sqlglot import exp

_MAX_CHARACTERS = 240
_AGGREGATES: dict[type, str] = {
    exp.Sum: "total", exp.Avg: "average", exp.Min: "lowest", exp.Max: "highest", exp.Median: "median",
}  # fmt: skip
_SIGNS: dict[type, str] = {
    exp.EQ: "is", exp.NEQ: "is not", exp.GT: "is more than", exp.GTE: "is at least", exp.LT: "is less than",
    exp.LTE: "is at most", exp.Like: "is like", exp.ILike: "is like",
}  # fmt: skip


def question_of(query: exp.Expr, dialect: str) -> str:
    """Return what a query asks, such as `Total amount of orders per country where status is 'paid'`.

    Args:
        query: One query.
        dialect: Of its database.
    """
    if not isinstance(query, exp.Select):
        both = [each for each in (query.this, query.args.get("expression")) if isinstance(each, exp.Select)]
        return (
            " and ".join(question_of(each, dialect) for each in both)[:_MAX_CHARACTERS]
            or "A union of queries"
        )
    words = _Words(dialect)
    groups = _groups(query)
    shown = [words.of(each) for each in query.expressions if each.unalias() not in groups]
    parts = [", ".join(dict.fromkeys(shown)) or "Different values", "of " + " and ".join(words.tables(query))]
    if groups:
        parts.append("per " + " and ".join(words.of(each) for each in groups))
    for key, said in (("where", "where"), ("having", "having")):
        if (clause := query.args.get(key)) is not None:
            parts.append(f"{said} {words.of(clause.this)}")
    order = query.args.get("order")
    if order is not None:
        parts.append("by " + " and ".join(words.ordered(each, query) for each in order.expressions))
    if (limit := query.args.get("limit")) is not None and isinstance(limit, exp.Limit):
        parts.append(f"first {limit.expression.name}")
    text = " ".join(" ".join(parts).split())
    return text[:1].upper() + text[1:_MAX_CHARACTERS]


class _Words:
    def __init__(self, dialect: str) -> None:
        self._dialect = dialect

    def tables(self, query: exp.Select) -> list[str]:
        """Return the names of what is read."""
        sources = [query.args.get("from_") or query.args.get("from"), *(query.args.get("joins") or ())]
        names = [each.this.name or "a query" for each in sources if each is not None]
        return list(dict.fromkeys(map(_plain, names))) or ["nothing"]

    def ordered(self, node: exp.Expr, query: exp.Select) -> str:
        """Return what rows are ordered by."""
        key = node.this
        if isinstance(key, exp.Literal) and key.is_int and 0 < int(key.name) <= len(query.expressions):
            key = query.expressions[int(key.name) - 1]
        return self.of(key) + (" descending" if node.args.get("desc") else "")

    def of(self, node: exp.Expr) -> str:
        """Return an expression in words; as SQL where there are none."""
        node = node.unalias().unnest()
        if isinstance(node, exp.Star):
            return "all columns"
        if isinstance(node, exp.Column):
            return "all columns" if isinstance(node.this, exp.Star) else _plain(node.name)
        if isinstance(node, exp.Count):
            different = isinstance(node.this, exp.Distinct)
            what = self.of(node.this.expressions[0]) if different else ""
            return f"number of different {what}" if different else "number of rows"
        if type(node) in _AGGREGATES:
            return f"{_AGGREGATES[type(node)]} {self.of(node.this)}"
        if isinstance(node, exp.And | exp.Or):
            return f"{self.of(node.left)} {node.key} {self.of(node.right)}"
        if isinstance(node, exp.Binary) and type(node) in _SIGNS:
            return f"{self.of(node.left)} {_SIGNS[type(node)]} {self.of(node.right)}"
        if isinstance(node, exp.Between):
            return f"{self.of(node.this)} is from {self.of(node.args['low'])} to {self.of(node.args['high'])}"
        if isinstance(node, exp.In) and node.expressions:
            return f"{self.of(node.this)} is one of {', '.join(map(self.of, node.expressions))}"
        if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
            return f"{node.args['unit'].name.lower()} of {self.of(node.this)}"
        if isinstance(node, exp.Extract):
            return f"{node.this.name.lower()} of {self.of(node.expression)}"
        return node.sql(dialect=self._dialect)


def _groups(query: exp.Select) -> list[exp.Expr]:
    """Return what rows are grouped by; a number stands for a column of the result."""
    found = []
    for each in query.args["group"].expressions if query.args.get("group") else ():
        is_place = (
            isinstance(each, exp.Literal) and each.is_int and 0 < int(each.name) <= len(query.expressions)
        )
        found.append(query.expressions[int(each.name) - 1].unalias() if is_place else each)
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ")

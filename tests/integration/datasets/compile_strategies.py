"""Datasets that somebody could write: most of them nearly right, over the tables of `compile_world`."""

from hypothesis import strategies as st

from dteg.datasets.compiler.functions import FUNCTIONS, Kind

SOURCES = {
    "o": {"source": "shop", "table": "orders"},
    "i": {"source": "shop", "table": "items"},
    "c": {"source": "crm", "schema": "public", "table": "customers"},
    "s": {"dictionary": "order_status"},
    "l": {"dictionary": "levels"},
    "d": {"dataset": "sales"},
}
COLUMNS = {
    "o": {
        "number": ["id", "customer_id", "amount", "qty", "price", "ratio", "made_in", "Ünïcode %s"],
        "text": ["status", "code", "note", "select", 'we"ird; DROP TABLE canary;--'],
        "time": ["placed", "paid", "due"],
        "condition": ["ok"],
        "odd": ["ref", "extra", "tags", "spent", "at_time", "meta", "took", "bits"],
    },
    "i": {"number": ["order_id", "pieces", "each_price"], "text": ["product"]},
    "c": {
        "number": ["id", "balance"],
        "text": ["name", "country", "email"],
        "time": ["born"],
        "condition": ["vip"],
    },
    "s": {"number": ["rank"], "text": ["code", "title"], "time": ["since"]},
    "l": {"number": ["level"], "text": ["label"], "condition": ["active"]},
    "d": {"number": ["sale"], "text": ["country"], "time": ["day"]},
}
TYPES = [
    "text",
    "integer",
    "bigint",
    "decimal(12,2)",
    "numeric",
    "double",
    "boolean",
    "date",
    "timestamp",
    "timestamptz",
    "uuid",
]
GRAINS = ["minute", "hour", "day", "week", "month", "quarter", "year"]
NAMES = [
    "a",
    "b",
    "total",
    "Total",
    "select",
    "order by",
    'x"y',
    "'; DROP TABLE canary; --",
    "имя",
    "100%",
    "a.b",
    "x" * 63,
]
TEXTS = [
    "",
    "new",
    "O'Brien",
    "50%",
    "a\\",
    "_",
    "KZ",
    "'; DROP TABLE canary; --",
    "2026-01-31",
    "12",
    "\U0001f600",
    "$1",
    "%s",
]
NUMBERS = ["0", "1", "2.5", "100", "2147483648", "99999999999999999999", "0.0001"]

names = st.sampled_from(NAMES)
# True about once in thirty times: a spec with a mistake in each part would never get far.
seldom = st.sampled_from([False] * 30 + [True])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def references(draw, aliases, kinds=("number", "text", "time", "condition", "odd")):
    """A column of one of some sources, now and then one that is not there."""
    alias = draw(st.sampled_from(aliases))
    choices = [name for kind in kinds for name in COLUMNS[alias].get(kind, [])]
    if not choices or draw(seldom):
        return alias, "missing"
    return alias, draw(st.sampled_from(choices))


@st.composite
def formulas(draw, aliases, kind="number", depth=3):
    """A formula of about the right types."""
    if draw(seldom):
        kind = draw(st.sampled_from(["number", "text", "time", "condition", "odd"]))
    if depth == 0 or kind == "odd" or draw(st.integers(0, 4)) == 0:
        return draw(_leaves(aliases, kind))

    def inner(wanted):
        return draw(formulas(aliases, wanted, depth - 1))

    form = draw(st.integers(0, 6))
    if form == 0:
        return f"coalesce({inner(kind)}, {inner(kind)})"
    if form == 1:
        return f"if({inner('condition')}, {inner(kind)}, {draw(st.sampled_from([inner(kind), 'null']))})"
    if form == 2 and kind in ("number", "text", "time"):
        types = {"number": TYPES[1:6], "text": TYPES[:1], "time": TYPES[7:10]}[kind]
        return f"cast({inner(draw(st.sampled_from(['number', 'text', 'time', kind])))} as {draw(st.sampled_from(types))})"
    if form < 5:
        return draw(_operations(aliases, kind, depth))
    return draw(_calls(aliases, depth))


@st.composite
def _leaves(draw, aliases, kind):
    if kind in ("number", "text", "condition") and draw(st.integers(0, 2)) == 0:
        value = {"number": NUMBERS, "text": TEXTS, "condition": ["true", "false"]}[kind]
        chosen = draw(st.sampled_from(value))
        return "'" + chosen.replace("'", "''") + "'" if kind == "text" else chosen
    if kind == "time" and draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["now()", "today()", "cast('2026-01-31' as date)"]))
    alias, name = draw(references(aliases, [kind]))
    return f"{alias}.{_quoted(name)}"


@st.composite
def _operations(draw, aliases, kind, depth):
    def inner(wanted):
        return draw(formulas(aliases, wanted, depth - 1))

    if kind == "number":
        sign = draw(st.sampled_from(["+", "-", "*", "/", "%"]))
        return f"({inner('number')} {sign} {draw(st.sampled_from(['', '-']))}{inner('number')})"
    if kind == "text":
        return f"({inner('text')} || {inner(draw(st.sampled_from(['text', 'number', 'time'])))})"
    if kind == "time":
        return f"add_days({inner('time')}, {draw(st.integers(-1000, 1000))})"
    of = draw(st.sampled_from(["number", "text", "time", "condition"]))
    return draw(
        st.sampled_from(
            [
                f"({inner(of)} {draw(st.sampled_from(['=', '!=', '<', '<=', '>', '>=']))} {inner(of)})",
                f"({inner('condition')} {draw(st.sampled_from(['and', 'or']))} not {inner('condition')})",
                f"({inner(of)} is {draw(st.sampled_from(['', 'not ']))}null)",
                f"({inner(of)} in ({inner(of)}, {inner(of)}))",
                f"({inner(of)} between {inner(of)} and {inner(of)})",
                f"({inner('text')} like 'a%')",
            ]
        )
    )


@st.composite
def _calls(draw, aliases, depth):
    function = FUNCTIONS[draw(st.sampled_from(sorted(FUNCTIONS)))]
    least = len(function.takes) - function.optional
    takes = function.takes[: draw(st.integers(least, len(function.takes)))]
    arguments = []
    for kind in takes:
        if kind in (Kind.COUNT, Kind.PLACES):
            arguments.append(str(draw(st.integers(0, 5))))
        elif kind is Kind.WORD:
            arguments.append(draw(st.sampled_from(["'month'", "'day'", "'YYYY-MM'"])))
        else:
            wanted = "number" if kind is Kind.ANY else kind.value
            arguments.append(draw(formulas(aliases, wanted, depth - 1)))
    return f"{function.name}({', '.join(arguments)})"


def _reference(pair):
    return f"{pair[0]}.{pair[1]}"


@st.composite
def filters(draw, aliases, results=(), depth=2):
    """A filter on columns of some sources, or on columns of the dataset."""
    form = draw(st.integers(0, 4)) if depth else 0
    if form == 1:
        return {"all": draw(st.lists(filters(aliases, results, depth - 1), max_size=3))}
    if form == 2:
        return {"any": draw(st.lists(filters(aliases, results, depth - 1), min_size=1, max_size=3))}
    if form == 3:
        return {"not": draw(filters(aliases, results, depth - 1))}
    kind = draw(st.sampled_from(["number", "text", "time", "condition", "odd"]))
    kinds = [draw(st.sampled_from(["number", "text", "time"]))] if draw(seldom) else [kind]
    alias = draw(st.sampled_from(aliases))
    if not COLUMNS[alias].get(kinds[0]):
        kind, kinds = "number", ["number"]
    col = _reference(draw(references([alias], kinds)))
    if results and draw(st.integers(0, 5)) == 0:
        col = draw(st.sampled_from(results))
    return draw(_conditions(col, kind, aliases))


@st.composite
def _conditions(draw, col, kind, aliases):
    if kind == "odd" or draw(st.integers(0, 5)) == 0:
        return {"col": col, "op": draw(st.sampled_from(["is_null", "not_null"]))}
    values = {
        "number": st.one_of(st.integers(-10, 10**12), st.floats(-1e9, 1e9, width=32)),
        "text": st.sampled_from(TEXTS),
        "time": st.sampled_from(["2026-01-31", "1999-12-31", "2026-01-31 10:30:00", "2024-02-31"]),
        "condition": st.booleans(),
    }[kind]
    if draw(st.integers(0, 3)) == 0:
        op = draw(st.sampled_from(["in", "not_in", "between"]))
        return {"col": col, "op": op, "value": draw(st.lists(values, min_size=2, max_size=2))}
    if kind == "time":
        relative = st.fixed_dictionaries(
            {"relative": st.sampled_from(["-90d", "+2w", "-3mo", "-1y", "-12h"])},
            optional={
                "start_of": st.sampled_from(GRAINS),
                "timezone": st.sampled_from(["UTC", "Asia/Almaty"]),
            },
        )
        values = st.one_of(values, relative)
    other = references(aliases, [kind]).map(lambda pair: {"col": _reference(pair)})
    ops = ["=", "!=", "<", ">="] + (
        ["contains", "starts_with", "ends_with", "not_contains", "like"] if kind == "text" else []
    )
    return {"col": col, "op": draw(st.sampled_from(ops)), "value": draw(st.one_of(values, values, other))}


@st.composite
def specs(draw):
    """The JSON values of a dataset."""
    aliases = draw(st.lists(st.sampled_from(sorted(SOURCES)), min_size=1, max_size=3, unique=True))
    spec = {"dataset": "generated", "sources": {alias: SOURCES[alias] for alias in aliases}}
    spec["text_compare"] = draw(st.sampled_from(["exact", "ci"]))
    joins = []
    for alias in aliases[1:]:
        shared = [
            kind
            for kind in ("number", "text", "time")
            if all(COLUMNS[each].get(kind) for each in (aliases[0], alias))
        ]
        kind = draw(st.sampled_from(shared))
        pair = [_reference(draw(references([each], [kind]))) for each in (aliases[0], alias)]
        type_ = draw(st.sampled_from(["left", "inner", "right", "full"]))
        joins.append({"left": aliases[0], "right": alias, "type": type_, "on": [pair]})
    spec["joins"] = joins
    spec["columns"] = [
        draw(_columns(name, aliases))
        for name in draw(st.lists(names, max_size=4, unique_by=None if draw(seldom) else str.lower))
    ]
    results = [each["name"] for each in spec["columns"]]
    if draw(st.booleans()):
        spec["filters"] = draw(filters(aliases, results))
    if draw(st.booleans()):
        results = draw(_groups(spec, aliases))
    if results and draw(st.booleans()):
        spec["order_by"] = [{"col": draw(st.sampled_from(results)), "descending": draw(st.booleans())}]
        spec["limit"] = 10
    return spec


@st.composite
def _columns(draw, name, aliases):
    column = {"name": name}
    form = draw(st.integers(0, 3))
    if form == 0:
        column["from"] = _reference(draw(references(aliases)))
        if draw(st.integers(0, 3)) == 0:
            column["type"] = draw(st.sampled_from(["text", "text", *TYPES]))
    elif form == 1:
        column["lookup"] = draw(_lookups(aliases))
    else:
        kind = draw(st.sampled_from(["number", "text", "time", "condition"]))
        column["formula"] = draw(formulas(aliases, kind))
    return column


@st.composite
def _lookups(draw, aliases):
    kind, dictionary, values = draw(
        st.sampled_from(
            [
                ("text", "order_status", {"title": "none", "rank": 0, "code": "?"}),
                ("number", "levels", {"label": "none", "active": True, "level": 7}),
            ]
        )
    )
    having = [alias for alias in aliases if COLUMNS[alias].get(kind)]
    value = draw(st.sampled_from(sorted(values)))
    lookup = {"dictionary": dictionary, "key": _reference(draw(references(having, [kind]))), "value": value}
    if draw(st.booleans()):
        lookup["default"] = draw(st.sampled_from([values[value], values[value], "none"]))
    return lookup


@st.composite
def _groups(draw, spec, aliases):
    defined = [each["name"] for each in spec["columns"]]
    groups = []
    for number in range(draw(st.integers(0, 2))):
        group = {
            "name": f"group {number}",
            "from": _reference(draw(references(aliases, ["number", "text", "condition"]))),
        }
        timed = [alias for alias in aliases if COLUMNS[alias].get("time")]
        if timed and draw(st.booleans()):
            group["from"] = _reference(draw(references(timed, ["time"])))
            group |= {
                "grain": draw(st.sampled_from(GRAINS)),
                "timezone": draw(st.sampled_from(["UTC", "Asia/Almaty"])),
            }
        elif defined and draw(st.booleans()):
            group["from"] = draw(st.sampled_from(defined))
        groups.append(group)
    measures = []
    for number in range(draw(st.integers(1, 3))):
        kinds = draw(st.sampled_from([["number"], ["number", "text"], ["number", "text", "time"]]))
        of = _reference(draw(references(aliases, kinds)))
        functions = {
            1: ["sum", "avg", "median", "stddev"],
            2: ["count_distinct", "max"],
            3: ["min", "count"],
        }[len(kinds)]
        measure = {"name": f"m{number}", "fn": draw(st.sampled_from(functions)), "of": of}
        if draw(st.integers(0, 2)) == 0:
            measure["where"] = draw(filters(aliases, defined, 1))
        measures.append(measure)
    if draw(st.booleans()):
        formula = draw(st.sampled_from(["m0 / m0", "m0 + 1", "coalesce(m0, 0)", "m0 || 'x'"]))
        measures.append({"name": "made", "formula": formula})
        spec["having"] = {"col": "m0", "op": "not_null"}
    spec["group_by"], spec["measures"] = groups, measures
    return [each["name"] for each in [*groups, *measures]]

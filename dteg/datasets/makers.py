"""How the calls of functions are put together: numbers, texts, times and choices."""

from collections.abc import Callable, Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.casting import read_literal
from dteg.datasets.comparing import compare
from dteg.datasets.nodes import exp
from dteg.datasets.terms import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Operator,
    Term,
    TextCompare,
    at_utc,
    boxed,
    built,
    call,
    collated,
    guarded,
    key_node,
    null_term,
    order_node,
    text_node,
    to_type,
)
from dteg.datasets.types import NUMBERS, TIMES, Family, SqlType

Make = Callable[[Sequence[Term], TextCompare], Term]
PARTS = ("year", "quarter", "month", "week", "day", "hour", "minute")
MAX_REPLACEMENT = 100
MAX_REPLACED = 10_000
_TIME_FORMAT = frozenset("YMDHISWQ0123456789 -/.:,_")


def number_node(term: Term) -> exp.Expression:
    """Return a number as `numeric`, in which nothing overflows or is cut to a whole number."""
    node = guarded(term)
    return node if term.family is Family.DECIMAL else to_type(node, NUMERIC)


def unified(terms: Sequence[Term], what: str) -> tuple[list[exp.Expression], SqlType]:
    """Bring values of which one is chosen to one type.

    Raises:
        ConfigError: There is none.
    """
    families = {term.family for term in terms} - {Family.NULL}
    if not families:
        return [to_type(term.node, TEXT) for term in terms], TEXT
    known = next(term.type for term in terms if term.family is not Family.NULL)
    if len(families) > 1:
        terms = [_as_time(term, families) for term in terms]
        families = {term.family for term in terms} - {Family.NULL}
    if len(families) > 1 and not families <= NUMBERS:
        words = " and ".join(sorted({family.words for family in families}))
        raise ConfigError(f"the values of {what} are {words}; make them alike with cast(... as ...)")
    if families & {Family.JSON, Family.OTHER}:
        raise ConfigError(f"{what} takes no values of the type {known.sql}; cast them to text")
    type_ = _common(families, [term for term in terms if term.family is not Family.NULL])
    nodes = []
    for term in terms:
        node = text_node(term) if type_ is TEXT else guarded(term)
        nodes.append(node if term.type.sql == type_.sql or type_ not in _CASTABLE else to_type(node, type_))
    return nodes, type_


_CASTABLE = (TEXT, INTEGER, BIGINT, NUMERIC, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ)


def _as_time(term: Term, families: set[Family]) -> Term:
    """Read a text beside times as a time."""
    wanted = families - {Family.TEXT}
    if len(wanted) == 1 and wanted <= TIMES and isinstance(term.literal, str):
        return read_literal(
            term, {each.family: each for each in (DATE, TIMESTAMP, TIMESTAMPTZ)}[wanted.pop()]
        )
    return term


def _common(families: set[Family], terms: Sequence[Term]) -> SqlType:
    if families <= NUMBERS:
        if Family.FLOAT in families:
            return DOUBLE
        if Family.DECIMAL in families:
            return NUMERIC
        return BIGINT if any(term.type.sql in ("bigint", "int8") for term in terms) else INTEGER
    family = next(iter(families))
    plain = {each.family: each for each in (TEXT, BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ)}
    return plain.get(family, terms[0].type)


def choice(cases: Sequence[tuple[Term, Term]], otherwise: Term | None) -> Term:
    """Return the value of the first condition that is true.

    Raises:
        ConfigError: A condition is none, or the values are of different types.
    """
    for condition, _ in cases:
        if condition.family is not Family.BOOLEAN:
            raise ConfigError(
                f"a condition is {condition.family.words}; write a comparison, such as amount > 0"
            )
    values = [value for _, value in cases] + [otherwise or null_term()]
    nodes, type_ = unified(values, "if and case")
    ifs = [exp.If(this=guarded(case[0]), true=node) for case, node in zip(cases, nodes, strict=False)]
    node = exp.Case(ifs=ifs, default=nodes[-1])
    parts = [*(condition for condition, _ in cases), *values]
    return built(node, type_, parts, nullable=any(value.nullable for value in values))


# --- Numbers -----------------------------------------------------------------------------------


def absolute(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a number without its sign."""
    type_ = terms[0].type if terms[0].family is Family.FLOAT else NUMERIC
    node = guarded(terms[0]) if terms[0].family is Family.FLOAT else number_node(terms[0])
    return built(call("abs", node), type_, terms)


def numeric(name: str) -> Make:
    """Return what calls a function of a number, in `numeric`."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [number_node(terms[0]), *(term.node for term in terms[1:])]
        return built(call(name, *nodes), NUMERIC, terms)

    return make


def root(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a square root; nothing below zero."""
    return _where_defined("sqrt", terms[0], exp.GTE)


def logarithm(name: str) -> Make:
    """Return what makes a logarithm; nothing for zero and below."""
    return lambda terms, mode: _where_defined(name, terms[0], exp.GT)


def _where_defined(name: str, term: Term, test: Operator) -> Term:
    node = number_node(term)
    defined = test(this=node, expression=exp.Literal.number(0))
    return built(exp.Case(ifs=[exp.If(this=defined, true=call(name, node))]), NUMERIC, [term], nullable=True)


def power(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a number raised to a whole power.

    Raises:
        ConfigError: It is no column's: the planner would work it out at once, however large it becomes.
    """
    if terms[0].constant:
        raise ConfigError("power of a number that is no column: write its result instead")
    node = number_node(terms[0])
    if isinstance(terms[1].literal, int) and terms[1].literal < 0:
        node = call("nullif", node, exp.Literal.number(0))
    return built(call("power", node, terms[1].node), NUMERIC, terms, nullable=True)


def remainder(left: Term, right: Term) -> Term:
    """Return what a division leaves; nothing for a division by zero."""
    divisor = call("nullif", number_node(right), exp.Literal.number(0))
    return built(call("mod", number_node(left), divisor), NUMERIC, [left, right], nullable=True)


def extreme(name: str) -> Make:
    """Return what chooses the greatest or least value; texts in the order of their bytes."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes, type_ = unified(terms, name)
        if type_.family is Family.TEXT:
            nodes = [collated(node) for node in nodes]
        return built(call(name, *nodes), type_, terms)

    return make


# --- Texts -------------------------------------------------------------------------------------


def of_text(name: str, type_: SqlType = TEXT) -> Make:
    """Return what calls a function of texts."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [text_node(term) if term.family is Family.TEXT else guarded(term) for term in terms]
        return built(call(name, *nodes), type_, terms)

    return make


def as_text(term: Term) -> exp.Expression:
    """Return any value as a text."""
    return text_node(term) if term.family is Family.TEXT else to_type(guarded(term), TEXT)


def concat(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Put values together as a text."""
    return built(call("concat", *(as_text(term) for term in terms)), TEXT, terms, nullable=False)


def replace(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Replace each piece of a text.

    Raises:
        ConfigError: The replacement is not a short text in quotes.
    """
    new = terms[2].literal
    if not isinstance(new, str) or len(new) > MAX_REPLACEMENT:
        raise ConfigError(f"replace puts in a text in quotes of at most {MAX_REPLACEMENT} characters")
    nodes = [collated(text_node(term)) for term in terms]
    # Replacements of replacements would grow without end, already while PostgreSQL plans.
    return built(call("left", call("replace", *nodes), exp.Literal.number(MAX_REPLACED)), TEXT, terms)


def split(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return one of the parts between separators.

    Raises:
        ConfigError: It is number 0.
    """
    if terms[2].literal == 0:
        raise ConfigError("the first part is number 1")
    nodes = [collated(text_node(terms[0])), text_node(terms[1]), terms[2].node]
    return built(call("split_part", *nodes), TEXT, terms)


def padded(name: str) -> Make:
    """Return what fills a text up."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [text_node(terms[0]), terms[1].node, *(text_node(term) for term in terms[2:])]
        return built(call(name, *nodes), TEXT, terms)

    return make


def text_test(name: str, text: Term, part: Term, mode: TextCompare) -> Term:
    """Ask whether a text `contains`, `starts_with` or `ends_with` another.

    Raises:
        ConfigError: One of them is no text.
    """
    for term in (text, part):
        if term.family is not Family.TEXT:
            raise ConfigError(f"{name.replace('_', ' ')} takes texts, not {term.family.words}")
    whole, piece = order_node(text, mode), key_node(part, mode)
    if name == "contains":
        node: exp.Expression = exp.GT(this=call("strpos", whole, piece), expression=exp.Literal.number(0))
    elif name == "starts_with":
        node = call("starts_with", whole, piece)
    else:
        node = exp.EQ(this=call("right", whole, call("length", piece)), expression=piece)
    return built(boxed(node), BOOLEAN, [text, part, part])


def test_of_text(name: str) -> Make:
    """Return what asks whether a text holds another."""
    return lambda terms, mode: text_test(name, terms[0], terms[1], mode)


def like(text: Term, pattern: Term, mode: TextCompare) -> Term:
    """Compare a text with a pattern of `%` and `_`.

    Raises:
        ConfigError: It is no text, or no pattern.
    """
    if text.family is not Family.TEXT or not isinstance(pattern.literal, str):
        raise ConfigError("like compares a text with a pattern in quotes, such as 'KZ-%'")
    found = pattern.literal
    if (len(found) - len(found.rstrip("\\"))) % 2:
        raise ConfigError("a pattern must not end with a single backslash")
    node = exp.Like(this=order_node(text, mode), expression=key_node(pattern, mode))
    return built(boxed(node), BOOLEAN, [text, pattern])


# --- Times -------------------------------------------------------------------------------------


def as_timestamp(term: Term) -> exp.Expression:
    """Return a time without zone, in UTC."""
    node = guarded(term)
    if term.family is Family.TIMESTAMPTZ:
        return at_utc(node)
    return to_type(node, TIMESTAMP) if term.family is Family.DATE else node


def part(name: str) -> Make:
    """Return what takes a part out of a time."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        part = call("date_part", exp.Literal.string(name), as_timestamp(terms[0]))
        return built(to_type(part, INTEGER), INTEGER, terms)

    return make


def date_trunc(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the start of a period.

    Raises:
        ConfigError: There is no such period.
    """
    if terms[0].literal not in PARTS:
        raise ConfigError(f"date_trunc knows {', '.join(PARTS)}")
    node = call("date_trunc", terms[0].node, as_timestamp(terms[1]))
    if terms[0].literal in ("hour", "minute"):
        return built(node, TIMESTAMP, terms)
    return built(to_type(node, DATE), DATE, terms)


def between(seconds: int) -> Make:
    """Return what measures from one time to another, in units of so many seconds."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        """Whole days by the calendar; hours and minutes with fractions."""
        if seconds == 86_400:
            first, last = (to_type(as_timestamp(term), DATE) for term in terms)
            return built(boxed(exp.Sub(this=last, expression=first)), INTEGER, terms)
        length = boxed(exp.Sub(this=as_timestamp(terms[1]), expression=as_timestamp(terms[0])))
        whole = to_type(call("date_part", exp.Literal.string("epoch"), length), NUMERIC)
        return built(
            boxed(exp.Div(this=whole, expression=exp.Literal.number(seconds), typed=True)), NUMERIC, terms
        )

    return make


def added(unit: str) -> Make:
    """Return what adds a fixed number of units to a time."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        amount = terms[1].literal
        if not isinstance(amount, int) or isinstance(amount, bool) or abs(amount) > 100_000:
            raise ConfigError(f"add_{unit}s adds a whole number up to 100 000 that is written as such")
        if unit == "month" and abs(amount) > 12_000:
            raise ConfigError("add_months adds at most 12 000 months")
        length = exp.Cast(
            this=exp.Literal.string(f"{amount} {unit}s"), to=exp.DataType(this=exp.DataType.Type.INTERVAL)
        )
        node = boxed(exp.Add(this=as_timestamp(terms[0]), expression=length))
        if terms[0].family is Family.DATE and unit != "hour":
            return built(to_type(node, DATE), DATE, terms)
        return built(node, TIMESTAMP, terms)

    return make


def now(_terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the time at which the refresh began."""
    return Term(call("now"), TIMESTAMPTZ, nullable=False)


def today(_terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the day on which the refresh began, in UTC."""
    return Term(to_type(at_utc(call("now")), DATE), DATE, nullable=False, size=3)


def format_time(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a time as a text.

    Raises:
        ConfigError: The form has signs that mean nothing.
    """
    form = str(terms[1].literal)
    if not 0 < len(form) <= 40 or not set(form) <= _TIME_FORMAT:
        raise ConfigError("format_time takes a form such as 'YYYY-MM-DD HH24:MI'")
    return built(call("to_char", as_timestamp(terms[0]), terms[1].node), TEXT, terms)


# --- Anything ----------------------------------------------------------------------------------


def coalesce(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the first value that is not missing."""
    nodes, type_ = unified(terms, "coalesce")
    return built(call("coalesce", *nodes), type_, terms, nullable=all(term.nullable for term in terms))


def nullif(terms: Sequence[Term], mode: TextCompare) -> Term:
    """Return the first value unless it equals the second."""
    same = compare("=", terms[0], terms[1], mode)
    node = exp.Case(ifs=[exp.If(this=same.node, true=exp.Null())], default=guarded(terms[0]))
    return built(node, terms[0].type, [*terms, terms[0]], nullable=True)


def if_else(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return one of two values."""
    return choice([(terms[0], terms[1])], terms[2] if len(terms) > 2 else None)


def text_of(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return any value as a text."""
    return built(as_text(terms[0]), TEXT, terms)


def number_of(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Read a number out of a text; nothing if there is none in it, where a cast would fail."""
    if terms[0].family in NUMBERS:
        return built(number_node(terms[0]), NUMERIC, terms)
    if terms[0].family is not Family.TEXT:
        raise ConfigError(f"number reads a text, not {terms[0].family.words}")
    node = call("btrim", text_node(terms[0]))
    form = exp.Literal.string(r"^[-+]?[0-9]{1,100}([.][0-9]{1,100})?$")
    is_number = exp.RegexpLike(this=node, expression=form)
    return built(
        exp.Case(ifs=[exp.If(this=is_number, true=to_type(node, NUMERIC))]),
        NUMERIC,
        [terms[0], terms[0]],
        nullable=True,
    )

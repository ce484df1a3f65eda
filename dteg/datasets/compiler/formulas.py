"""Formulas: a small language of its own, so that no text of a user ever becomes SQL.

    formula   = and-part { OR and-part }
    and-part  = not-part { AND not-part }
    not-part  = [NOT] test
    test      = sum [ ( = | == | != | <> | < | <= | > | >= ) sum | IS [NOT] NULL | [NOT] IN ( formula { , formula } )
                    | [NOT] BETWEEN sum AND sum | [NOT] LIKE text ]
    sum       = product { ( + | - | || ) product }
    product   = sign { ( * | / | % ) sign }
    sign      = { - | + } value [ :: type ]
    value     = number | 'text' | TRUE | FALSE | NULL | ( formula ) | column | function ( [ formula { , formula } ] )
              | CASE { WHEN formula THEN formula } [ ELSE formula ] END | CAST ( formula AS type )
              | EXTRACT ( part FROM formula )
    column    = name | alias . name ; a name of odd letters, or one that is a word of the language, in double quotes

Words of the language are the same in small and capital letters, names are not. Each part is checked for its type as it
is read, and made into a node of a query by our own code: what the language does not have cannot be said.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Protocol

from dteg.core.errors import ConfigError
from dteg.core.lexing import Token, TokenReader, split
from dteg.core.suggest import did_you_mean
from dteg.datasets.compiler import arithmetic, functions
from dteg.datasets.compiler.casting import cast_to
from dteg.datasets.compiler.comparing import compare, is_one_of
from dteg.datasets.compiler.makers import choices, texts
from dteg.datasets.compiler.terms import Term, TextCompare, literal_term, null_term
from dteg.datasets.spec.values import MAX_FORMULA_CHARACTERS
from dteg.datasets.types import CastType, parse_type

MAX_DEPTH = 40
MAX_NUMBER = 100
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")+")|(?P<number>\d+(?:\.\d+)?|\.\d+)
    |(?P<word>[^\W\d]\w*)|(?P<sign>::|<=|>=|<>|!=|==|\|\||[-+*/%=<>(),.]))""",
    re.VERBOSE,
)
_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
RESERVED = frozenset(
    [
        "and",
        "or",
        "not",
        "is",
        "null",
        "in",
        "between",
        "like",
        "case",
        "when",
        "then",
        "else",
        "end",
        "cast",
        "as",
        "extract",
        "from",
        "true",
        "false",
    ]
)


class Names(Protocol):
    """Where a formula looks columns up."""

    def column(self, alias: str, name: str) -> Term:
        """Return a column; `alias` is empty for a name alone.

        Raises:
            ConfigError: There is none, or several.
        """
        ...


def read_formula(text: str, names: Names, mode: TextCompare) -> Term:
    """Read a formula and make a part of a query of it.

    Args:
        text: The formula.
        names: The columns it may use.
        mode: How texts are compared.

    Raises:
        ConfigError: It is none; says at which character.
    """
    if len(text) > MAX_FORMULA_CHARACTERS:
        raise ConfigError(f"a formula has at most {MAX_FORMULA_CHARACTERS:,} characters")
    return _Parser(text, names, mode).parse()


class _Parser(TokenReader):
    def __init__(self, text: str, names: Names, mode: TextCompare) -> None:
        super().__init__(split(text, _TOKEN, MAX_NUMBER, _wrong))
        self._names, self._mode = names, mode
        self._depth = 0
        for token in self._tokens:
            if token.kind == "number" and not token.text.isascii():
                raise _wrong("write numbers with the digits 0 to 9", token)

    def parse(self) -> Term:
        found = self._formula()
        if (rest := self._peek()).kind != "end":
            raise _wrong(f"{rest.text!r} does not continue the formula", rest)
        return found

    def _expect(self, what: str) -> None:
        token = self._take()
        if token.text.lower() != what or token.kind not in ("word", "sign"):
            raise _wrong(f"here comes {what.upper()}{_found(token)}", token)

    def _at(self, token: Token, make: Callable[[], Term]) -> Term:
        """Make a term; its error says at which character."""
        try:
            return make()
        except ConfigError as error:
            if not error.problems or "(at character" in error.problems[0].message:
                raise
            raise _wrong(str(error), token) from None

    # Logic

    def _formula(self) -> Term:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong(f"more than {MAX_DEPTH} brackets in one another", self._peek())
        found = self._and()
        while token := self._takes_word("or"):
            found = self._at(token, partial(arithmetic.either, found, self._and()))
        self._depth -= 1
        return found

    def _and(self) -> Term:
        found = self._not()
        while token := self._takes_word("and"):
            found = self._at(token, partial(arithmetic.both, found, self._not()))
        return found

    def _not(self) -> Term:
        first, negations = self._peek(), 0
        while self._takes_word("not"):
            negations += 1
        found = self._test()
        if not negations:
            return found
        negated = self._at(first, lambda: arithmetic.negated(found))
        return negated if negations % 2 else found

    def _test(self) -> Term:
        left = self._sum()
        token = self._peek()
        if token.kind == "sign" and token.text in _COMPARISONS:
            self._take()
            right = self._sum()
            return self._at(token, lambda: compare(_COMPARISONS[token.text], left, right, self._mode))
        if self._takes_word("is"):
            no = self._takes_word("not")
            if not self._takes_word("null"):
                raise _wrong("after is comes null or not null", self._peek())
            return self._at(token, lambda: arithmetic.is_null(left, no=bool(no)))
        no = self._takes_word("not")
        if self._peek().is_word("in", "between", "like"):
            found = self._membership(left, self._take())
            return self._at(token, lambda: arithmetic.negated(found)) if no else found
        if no:
            raise _wrong("after not comes in, between or like", self._peek())
        return left

    def _membership(self, left: Term, token: Token) -> Term:
        if token.is_word("in"):
            self._expect("(")
            options = self._list()
            return self._at(token, lambda: is_one_of(left, options, self._mode))
        right = self._sum()
        if token.is_word("like"):
            return self._at(token, lambda: texts.like(left, right, self._mode))
        self._expect("and")
        last = self._sum()
        return self._at(token, lambda: arithmetic.within(left, right, last, self._mode))

    def _list(self) -> list[Term]:
        """Read what stands between brackets, the closing one included."""
        items = [self._formula()]
        while self._takes_sign(","):
            items.append(self._formula())
        self._expect(")")
        return items

    # Values

    def _sum(self) -> Term:
        found = self._product()
        while token := self._takes_sign("+", "-", "||"):
            found = self._operation(token, found, self._product())
        return found

    def _product(self) -> Term:
        found = self._signed()
        while token := self._takes_sign("*", "/", "%"):
            found = self._operation(token, found, self._signed())
        return found

    def _operation(self, token: Token, left: Term, right: Term) -> Term:
        return self._at(token, lambda: arithmetic.operation(token.text, left, right))

    def _signed(self) -> Term:
        first, minus = self._peek(), 0
        while token := self._takes_sign("+", "-"):
            minus += token.text == "-"
        found = self._value()
        while token := self._takes_sign("::"):
            found = self._at(token, partial(cast_to, found, self._type()))
        if first.is_sign("+", "-"):
            return self._at(first, lambda: arithmetic.signed(found, minus=bool(minus % 2)))
        return found

    def _value(self) -> Term:
        token = self._take()
        if token.kind == "number":
            return literal_term(Decimal(token.text) if "." in token.text else int(token.text))
        if token.kind == "text":
            return literal_term(token.unquoted)
        if token.is_sign("("):
            found = self._formula()
            self._expect(")")
            return found
        if token.is_word("true", "false"):
            return literal_term(token.text.lower() == "true")
        if token.is_word("null"):
            return null_term()
        special = {"case": self._case, "cast": self._cast, "extract": self._extract}
        if token.kind == "word" and token.text.lower() in special:
            return self._nested(token, special[token.text.lower()])
        if token.is_word(*RESERVED) or token.kind not in ("name", "word"):
            raise _wrong(f"here comes a column, a value or a function{_found(token)}", token)
        if token.kind == "word" and self._takes_sign("("):
            return self._call(token)
        return self._column(token)

    def _nested(self, token: Token, read: Callable[[Token], Term]) -> Term:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong(f"more than {MAX_DEPTH} brackets in one another", token)
        found = read(token)
        self._depth -= 1
        return found

    def _column(self, token: Token) -> Term:
        alias, name = "", token.unquoted
        if self._takes_sign("."):
            second = self._take()
            if second.kind not in ("word", "name"):
                raise _wrong(f"after {token.text}. comes a column{_found(second)}", second)
            alias, name = name, second.unquoted
        return self._at(token, lambda: self._names.column(alias, name))

    def _call(self, token: Token) -> Term:
        function = functions.FUNCTIONS.get(token.text.lower())
        if function is None:
            near = did_you_mean(token.text.lower(), functions.FUNCTIONS)
            raise _wrong(
                f"there is no function {token.text}; {near or 'there are: ' + ', '.join(functions.FUNCTIONS)}",
                token,
            )
        arguments = [] if self._takes_sign(")") else self._list()
        return self._at(token, lambda: functions.apply(function, arguments, self._mode))

    def _case(self, token: Token) -> Term:
        cases, otherwise = [], None
        if not self._peek().is_word("when"):
            raise _wrong(f"after case comes when{_found(self._peek())}", self._peek())
        while self._takes_word("when"):
            condition = self._formula()
            self._expect("then")
            cases.append((condition, self._formula()))
        if self._takes_word("else"):
            otherwise = self._formula()
        self._expect("end")
        return self._at(token, lambda: choices.choice(cases, otherwise))

    def _cast(self, token: Token) -> Term:
        self._expect("(")
        value = self._formula()
        self._expect("as")
        type_ = self._type()
        self._expect(")")
        return self._at(token, lambda: cast_to(value, type_))

    def _extract(self, token: Token) -> Term:
        self._expect("(")
        word = self._take()
        self._expect("from")
        value = self._formula()
        self._expect(")")
        return self._at(token, lambda: functions.extracted(word.text.lower(), value))

    def _type(self) -> CastType:
        token = self._take()
        text = token.text
        if token.kind == "word" and self._peek().is_sign("("):
            while not self._peek().is_sign(")") and self._peek().kind in ("number", "sign"):
                text += self._take().text
            self._expect(")")
            text += ")"
        try:
            return parse_type(text)
        except ValueError as error:
            raise _wrong(str(error), token) from None


def _found(token: Token) -> str:
    return ", but the formula ends" if token.kind == "end" else f", not {token.text!r}"


def _wrong(message: str, token: Token) -> ConfigError:
    return ConfigError(f"{message} (at character {token.at})")

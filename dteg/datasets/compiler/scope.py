"""What a name means: a column of a source, or a column of the dataset that is defined above."""

import contextlib
from collections.abc import Iterator, Mapping

from dteg.core.errors import ConfigError, DtegError, Problem
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Path_, render_path
from dteg.datasets.catalogue import CatalogueColumn, CatalogueTable
from dteg.datasets.compiler.terms import Term, column_term

MAX_NAMES_TOLD = 12


class Problems:
    """What is wrong with a spec, collected so that all of it is told at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: Path_, message: str) -> None:
        """Remember one."""
        self.found.append(Problem(message, path=render_path(path)))

    @contextlib.contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Remember an error that is raised within, with its place in the spec, and go on behind it."""
        try:
            yield
        except ConfigError as error:
            for problem in error.problems:
                self.found.append(
                    problem if problem.path else Problem(problem.message, path=render_path(path))
                )
        except DtegError as error:
            self.add(path, str(error))

    def raise_any(self) -> None:
        """Raise what was remembered.

        Raises:
            ConfigError: Something was.
        """
        if self.found:
            raise ConfigError(self.found)


class AlreadyToldError(ConfigError):
    """What is named here could not be made, and why is told elsewhere."""

    def __init__(self) -> None:
        """Have no problem of its own."""
        super().__init__([])


class Scope:
    """The columns of all sources, and the columns of the dataset that have been defined so far."""

    def __init__(self, tables: Mapping[str, CatalogueTable], missing: frozenset[str]) -> None:
        """Start without columns of the dataset.

        Args:
            tables: Table by alias.
            missing: Aliases whose tables are not known, which is told elsewhere.
        """
        self._tables, self.missing = tables, missing
        self.outer: set[str] = set()
        self.defined: dict[str, Term] = {}
        self.failed: set[str] = set()

    def column(self, alias: str, name: str) -> Term:
        """Return a column of a source, or with an empty alias what a name alone means.

        Raises:
            ConfigError: There is none, or there are several.
        """
        if not alias:
            return self._alone(name)
        if alias in self.missing:
            raise AlreadyToldError
        if alias not in self._tables:
            near = did_you_mean(alias, self._tables)
            raise ConfigError(
                f"there is no source {alias!r}; {near or 'there are: ' + ', '.join(self._tables)}"
            )
        columns = self._tables[alias].columns
        if name not in columns:
            near = did_you_mean(name, columns)
            raise ConfigError(f"{alias} has no column {name!r}; {near or 'there are: ' + _some(columns)}")
        return self._term(alias, columns[name])

    def reference(self, text: str) -> Term:
        """Return what `alias.column` or `column` in a spec means.

        Raises:
            ConfigError: Nothing, or several things.
        """
        alias, dot, name = text.partition(".")
        if dot and (alias in self._tables or alias in self.missing):
            return self.column(alias, name)
        return self._alone(text)

    def source_column(self, text: str) -> tuple[str, CatalogueColumn]:
        """Return the alias and column that a reference in a join means.

        Raises:
            ConfigError: It means no column of a source.
        """
        term = self.reference(text)
        if term.column is None or len(term.aliases) != 1:
            raise ConfigError(f"{text!r} is no column of a source; joins compare those")
        return next(iter(term.aliases)), term.column

    def define(self, name: str, term: Term) -> None:
        """Let what follows use a column of the dataset."""
        self.defined[name] = term

    def _alone(self, name: str) -> Term:
        if name in self.defined:
            return self.defined[name]
        if name in self.failed:
            raise AlreadyToldError
        having = [alias for alias, table in self._tables.items() if name in table.columns]
        if len(having) > 1:
            choices = " or ".join(f"{alias}.{name}" for alias in having)
            raise ConfigError(f"{name!r} is a column of several sources; write {choices}")
        if having:
            return self._term(having[0], self._tables[having[0]].columns[name])
        if self.missing:
            raise AlreadyToldError
        raise ConfigError(f"there is no column {name!r}; {self._near(name)}")

    def _near(self, name: str) -> str:
        known = [*self.defined]
        for alias, table in self._tables.items():
            known += [*table.columns, *(f"{alias}.{column}" for column in table.columns)]
        return did_you_mean(name, dict.fromkeys(known)) or "there are: " + _some(
            [
                *self.defined,
                *(f"{alias}.{column}" for alias, table in self._tables.items() for column in table.columns),
            ]
        )

    def _term(self, alias: str, column: CatalogueColumn) -> Term:
        return column_term(alias, column, nullable=column.nullable or alias in self.outer)


class ResultScope:
    """The columns of a result: groups and measures."""

    def __init__(self, alias: str) -> None:
        """Start without columns; `alias` is what the query calls the result."""
        self._alias = alias
        self.terms: dict[str, Term] = {}
        self.failed: set[str] = set()

    def add(self, name: str, term: Term) -> None:
        """Add a column that the inner query has."""
        column = CatalogueColumn(name, term.type, term.nullable)
        self.terms[name] = column_term(self._alias, column, nullable=term.nullable)

    def column(self, alias: str, name: str) -> Term:
        """Return a column.

        Raises:
            ConfigError: There is none.
        """
        text = f"{alias}.{name}" if alias else name
        if text in self.terms:
            return self.terms[text]
        if text in self.failed:
            raise AlreadyToldError
        near = did_you_mean(text, self.terms)
        raise ConfigError(
            f"there is no group or measure {text!r} up to here; {near or 'there are: ' + (_some(self.terms) or 'none')}"
        )

    def reference(self, text: str) -> Term:
        """Return a column.

        Raises:
            ConfigError: There is none.
        """
        return self.column("", text)


def _some(names: "Mapping[str, object] | list[str]") -> str:
    told = list(names)
    more = f" and {len(told) - MAX_NAMES_TOLD} more" if len(told) > MAX_NAMES_TOLD else ""
    return ", ".join(told[:MAX_NAMES_TOLD]) + more

"""What is known of a flat file, what it could become, and what was proved of that."""

from typing import Annotated, Literal

from pydantic import Field

from dteg.core.config import ConfigModel

Form = Literal["3NF", "BCNF"]
ROW_ID = "row_id"


class ColumnProfile(ConfigModel):
    """One column of the file.

    Attributes:
        name: As the file has it.
        type: Type in DuckDB.
        distinct: Different values, without null.
        nulls: Rows without a value.
        minimum: Smallest value, as text.
        maximum: Greatest value, as text.
        top: The most frequent values with their rows; none where they could name people.
        pii: Why it looks like data about people, such as `email`; empty otherwise.
        problems: What somebody should mend, such as dates in several forms.
    """

    name: str
    type: str
    distinct: int
    nulls: int
    minimum: str | None = None
    maximum: str | None = None
    top: list[tuple[str, int]] = Field([])
    pii: str = ""
    problems: list[str] = Field([])


class Profile(ConfigModel):
    """The whole file."""

    rows: int
    columns: list[ColumnProfile]

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        return [column.name for column in self.columns]


class Dependency(ConfigModel):
    """One value of some columns fixes the values of others.

    Attributes:
        id: Name within the analysis, such as `fd12`.
        determinant: The columns that fix.
        dependent: The columns that are fixed.
        groups: Different values of the determinant.
        support: Rows that share their determinant with another row: those that could have disagreed.
        error: Share of rows that differ from what their group mostly has; 0 where it holds everywhere.
    """

    id: str
    determinant: list[str]
    dependent: list[str]
    groups: int
    support: int
    error: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def exact(self) -> bool:
        """Whether it holds in every row."""
        return self.error == 0


class Reference(ConfigModel):
    """A foreign key: the columns have the same names on both sides."""

    columns: list[str]
    table: str


class ListSplit(ConfigModel):
    """Values of one column, or of columns such as `phone1` and `phone2`, that became rows of a table.

    Attributes:
        table: The table of the rows: the owner's key, `position` from 1, and the values.
        name: What repeats, such as `item`.
        owner: The table that the columns belonged to.
        separator: Between the items of a list; None for a group of columns.
        members: By column of the new table, the columns it came from, in the order of their positions.
        things: Tables that its rows refer to: of what repeats, some columns may be about a thing of its own.
    """

    table: str
    owner: str
    name: str = ""
    separator: str | None = None
    members: dict[str, list[str]]
    things: list[str] = Field([])

    @property
    def sources(self) -> list[str]:
        """The columns of the file that it replaces."""
        return [name for names in self.members.values() for name in names]


class PlannedTable(ConfigModel):
    """One table of the result.

    Attributes:
        name: Its name.
        columns: Its columns, those of the key first.
        primary_key: What no two rows share. `[row_id]` where the file has nothing of that kind.
        references: Foreign keys.
        dependencies: Ids of the dependencies it stands on; none for the table of the rows themselves.
        rows: How many it will have.
    """

    name: str
    columns: list[str]
    primary_key: list[str]
    references: list[Reference] = Field([])
    dependencies: list[str] = Field([])
    rows: int = 0


class Refused(ConfigModel):
    """A dependency that was found and not used."""

    dependency: Dependency
    why: str


class Plan(ConfigModel):
    """Which tables the file becomes. The first one has a row for each row of the file.

    Attributes:
        tables: The tables.
        lists: What became rows of their own.
        form: Which form.
        used: Dependencies that tables stand on.
        refused: Those that do not make a table, with the reason.
        notes: What a person should know.
    """

    tables: list[PlannedTable]
    lists: list[ListSplit] = Field([])
    form: Form = "3NF"
    used: list[Dependency] = Field([])
    refused: list[Refused] = Field([])
    notes: list[str] = Field([])

    @property
    def root(self) -> PlannedTable:
        """The table with a row for each row of the file."""
        return self.tables[0]

    @property
    def is_normal_already(self) -> bool:
        """Whether there is nothing to do."""
        return len(self.tables) == 1 and not self.lists

    def split_of(self, table: str) -> ListSplit | None:
        """Return the list that a table belongs to: its rows, or a thing that they refer to."""
        return next((each for each in self.lists if table in (each.table, *each.things)), None)

    def table(self, name: str) -> PlannedTable:
        """Return the table of a name."""
        return next(table for table in self.tables if table.name == name)


class Choice(ConfigModel):
    """What somebody chose among what was proved; a model may choose no more than this.

    Attributes:
        accepted: Ids of determinants that become tables; None leaves it to the rules.
        keys: For an id, the key among columns that name the same thing.
        names: For an id, the name of its table; `root` for the table of the rows.
    """

    accepted: list[str] | None = None
    keys: dict[str, list[str]] = Field({})
    names: dict[str, str] = Field({})


class Proof(ConfigModel):
    """What was looked at in all rows of the finished tables.

    Attributes:
        rows: Rows of the file.
        rejoined: Rows of the tables joined again.
        differing: Rows that are not the same.
        hash_before: Hash of the file's rows, whatever their order.
        hash_after: The same of the joined tables.
        problems: What does not hold; empty means proved.
        checks: What was looked at, each with its result.
        cells_before: Values in the file.
        cells_after: Values in all tables.
        exceptions: Values that differ from their group and lie in the table of exceptions.
    """

    rows: int
    rejoined: int
    differing: int
    hash_before: str
    hash_after: str
    problems: list[str]
    checks: dict[str, bool]
    cells_before: int
    cells_after: int
    exceptions: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything was proved."""
        return not self.problems

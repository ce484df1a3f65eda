"""Why a package is refused: a code for programs, the entry, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from dteg.core.errors import InputError

MAX_SHOWN = 50


@dataclass(frozen=True, slots=True)
class PackageProblem:
    """One thing wrong with a package.

    Attributes:
        code: Short name that programs compare and documentation lists, such as `parent-path`.
        message: What is wrong.
        remedy: What to do.
        entry: Path inside the package; empty when the whole file is meant.
    """

    code: str
    message: str
    remedy: str
    entry: str = ""

    def __str__(self) -> str:
        """Render as `entry: message; remedy [code]`."""
        place = f"{shown(self.entry)}: " if self.entry else ""
        return f"{place}{self.message}; {self.remedy} [{self.code}]"


class PackageError(InputError):
    """A package breaks the rules: repair each of `problems` and build it again."""

    def __init__(self, problems: Sequence[PackageProblem], *, source: str = "") -> None:
        """Take the problems.

        Args:
            problems: At least one; all are kept, the first 50 are in the message.
            source: File name of the package.
        """
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"and {len(self.problems) - MAX_SHOWN} more")
        super().__init__("\n".join(lines), source=source)

    @property
    def codes(self) -> frozenset[str]:
        """The codes of its problems."""
        return frozenset(problem.code for problem in self.problems)


def shown(name: str) -> str:
    """Return a name from a package so that a terminal or page can show it: at most 120 plain characters."""
    plain = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in name[:120])
    return f"{plain}..." if len(name) > 120 else plain

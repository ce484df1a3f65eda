"""From a flat file to proved tables: profile, search, measure, design, make, verify."""

from dataclasses import dataclass

from dteg.core.errors import QualityGateError
from dteg.core.identifiers import MAX_IDENTIFIER_BYTES
from dteg.normalize.decompose import decompose, make_exceptions
from dteg.normalize.design import Design
from dteg.normalize.discovery import MAX_DETERMINANT, MAX_GROUPS, TIME_LIMIT_S, Candidates, find_candidates
from dteg.normalize.first_form import Repeated, Splitting, found_groups, level_types, split_lists
from dteg.normalize.flat import Flat
from dteg.normalize.measure import Measured, measure
from dteg.normalize.models import Choice, Form, Plan, Profile, Proof
from dteg.normalize.profile import Spread, profile, spreads
from dteg.normalize.verify import verify
from dteg.normalize.within import with_things


@dataclass
class Analysis:
    """What is known of a file before anything is decided.

    Attributes:
        flat: The file.
        spread: How its columns are spread.
        profile: What its columns hold.
        measured: Dependencies, measured in all rows.
        notes: What a person should know of the search.
        groups: Columns that hold the same thing several times and become rows.
    """

    flat: Flat
    spread: dict[str, Spread]
    profile: Profile
    measured: list[Measured]
    notes: list[str]
    groups: list[Repeated]


@dataclass
class Normalized:
    """Tables that are there and proved.

    Attributes:
        plan: The tables, with their numbers of rows.
        proof: What was proved.
        exceptions: SQL type by column that has exceptions.
    """

    plan: Plan
    proof: Proof
    exceptions: dict[str, str]


def analyse(
    flat: Flat, time_limit_s: float = TIME_LIMIT_S, most: int = MAX_DETERMINANT, splitting: Splitting = "sure"
) -> Analysis:
    """Look at a file.

    Args:
        flat: The file.
        time_limit_s: Of the search for dependencies.
        most: Columns that a determinant may have.
        splitting: Which lists become tables.
    """
    level_types(flat)
    flat.hash_values()
    spread = spreads(flat)
    usable = [name for name in flat.columns if spread[name].distinct > 1]
    candidates = find_candidates(flat, usable, time_limit_s, most)
    groups, about_groups = found_groups(flat, splitting)
    _drop_determinants(flat, spread, candidates, {name for group in groups for name in group.columns})
    notes = flat.notes + [
        f"the column {before!r} is called {now}: names have at most {MAX_IDENTIFIER_BYTES} bytes"
        for before, now in flat.shortened.items()
    ]
    measured = measure(flat, candidates)
    described = profile(flat, spread)
    notes += [*about_groups, *_problems(described), *candidates.notes]
    return Analysis(flat, spread, described, measured, notes, groups)


def _problems(described: Profile) -> list[str]:
    """Return what should be mended in the file, each once with its columns."""
    told: dict[str, list[str]] = {}
    for column in described.columns:
        for problem in column.problems:
            told.setdefault(problem, []).append(column.name)
    return [f"{', '.join(names)}: {problem}" for problem, names in told.items()]


def _drop_determinants(
    flat: Flat, spread: dict[str, Spread], candidates: Candidates, repeated: set[str]
) -> None:
    """Leave out what makes no table: what has nearly as many values as there are rows, and single items of a list."""
    useless = repeated | {name for name in flat.columns if spread[name].distinct > MAX_GROUPS * flat.rows}
    for found in (candidates.exact, candidates.almost):
        for columns in [each for each in found if useless & set(each)]:
            del found[columns]


def design(
    analysis: Analysis, form: Form = "3NF", choice: Choice | None = None, splitting: Splitting = "sure"
) -> Plan:
    """Choose the tables.

    Args:
        analysis: What is known.
        form: Which form.
        choice: What somebody chose among what was measured.
        splitting: Which lists become tables.
    """
    together = [group.columns for group in analysis.groups]
    plan = Design(analysis.flat, analysis.spread, analysis.measured, form, choice, together=together).plan()
    plan = split_lists(analysis.flat, plan, analysis.groups, splitting)
    plan = with_things(analysis.flat, plan)
    return plan.model_copy(update={"notes": [*analysis.notes, *plan.notes]})


def normalize(analysis: Analysis, plan: Plan) -> Normalized:
    """Make the tables of a plan and prove them.

    Raises:
        QualityGateError: The proof fails; nothing may be written then.
    """
    plan = decompose(analysis.flat, plan)
    exceptions = make_exceptions(analysis.flat, plan)
    proof = verify(analysis.flat, plan, exceptions)
    if not proof.holds:
        raise QualityGateError("the tables are not the file: " + "; ".join(proof.problems[:5]))
    return Normalized(plan, proof, exceptions)

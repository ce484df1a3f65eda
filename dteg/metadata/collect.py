"""One collection: the catalogue, the rows of what has changed, joins, examples; then a new version, if anything differs."""

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as Names
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dteg.core.clock import Clock, utc_now
from dteg.core.errors import EnvironmentProblemError, InputError, PermanentError
from dteg.metadata import joins, profile, quality
from dteg.metadata.client.documents import canonical, sha256
from dteg.metadata.collectors import Collector, Found, Logged
from dteg.metadata.dbt import DbtTable
from dteg.metadata.examples import Verifier, by_table, wanted_examples
from dteg.metadata.models import (
    CacheManifest,
    ColumnEntry,
    ColumnReference,
    Example,
    ForeignKeyEntry,
    ManifestTable,
    SourceInfo,
    Status,
    TableDocument,
    TableEntry,
)
from dteg.metadata.notes import ExampleNote, TableNote
from dteg.metadata.parts import known_parts
from dteg.metadata.probers import Limits
from dteg.metadata.publish import Publisher
from dteg.metadata.querylog import MOST, log_examples
from dteg.metadata.reports import CollectReport

# What rows tell of a column.
_FACTS = (
    "null_pct", "distinct_count", "distinct_is_exact", "min", "max", "top_values", "samples", "pattern", "pii",
)  # fmt: skip
_VALUES = ("min", "max", "top_values", "samples", "pattern")
# Nobody waits for an example of the log: what takes longer is none.
_LOG_LIMITS = Limits(timeout_s=2.0)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Inputs:
    """What is not in the database.

    Attributes:
        query_log: Take examples from the query log.
        left_out: Ids of those that nobody wants.
    """

    notes: Mapping[str, TableNote] = field(default_factory=dict)
    examples: Sequence[ExampleNote] = ()
    dbt: Mapping[str, DbtTable] = field(default_factory=dict)
    query_log: bool = True
    left_out: Names[str] = ()
    closed: Names[str] = ()


@dataclass
class _Before:
    """What was published last."""

    manifest: CacheManifest | None = None
    documents: dict[str, TableDocument] = field(default_factory=dict)
    listed: dict[str, ManifestTable] = field(default_factory=dict)


class Collection:
    """Collects one source once.

    Args:
        collector: Of the source.
        publisher: Of its cache.
        source: What it is.
        inputs: What people and dbt say.
        clock: The time.
    """

    def __init__(
        self,
        collector: Collector,
        publisher: Publisher,
        source: SourceInfo,
        inputs: Inputs,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._collector, self._publisher, self._source = collector, publisher, source
        self._inputs, self._clock = inputs, clock
        self._problems: list[str] = []
        self._before = _Before()
        self._probes: dict[str, str] = {}
        self._log: Sequence[Logged] = ()
        self._log_said = ""

    def run(self, *, full: bool = False, on_progress: Progress | None = None) -> CollectReport:
        """Collect, and publish if anything differs.

        Args:
            full: Read all rows again, and run all examples.
            on_progress: Is told how many tables are done, of how many.

        Raises:
            InputError: What was published is broken; `full` mends it.
            TransientError: The database does not answer.
            UnavailableError: The place of the cache does not.
        """
        began, now = time.monotonic(), self._clock()
        self._read_before(full=full)
        hidden = {name for name, note in self._inputs.notes.items() if note.hidden} | set(self._inputs.closed)
        founds = [found for found in self._collector.tables() if found.entry.table_id not in hidden]
        changed = self._changed(founds, full=full)
        entries = []
        for number, found in enumerate(founds, 1):
            entries.append(self._entry(found, changed))
            if on_progress:
                on_progress(number, len(founds))
        self._read_log()
        entries = self._with_joins(founds, entries, changed)
        examples = self._verified(entries, now, full=full)
        manifest, documents = self._published(entries, examples, now)
        measured = manifest.quality
        score_before = self._before.manifest.quality.score if self._before.manifest else None
        counts: dict[Status, int] = {"valid": 0, "stale": 0, "broken": 0}
        for each in examples:
            counts[each.status] += 1
        return CollectReport(
            source=self._source.name, cache_version=manifest.cache_version, published=documents, tables=len(entries),
            tables_read=len(changed), removed=self._removed(entries), examples=counts, quality=measured,
            alerts=quality.alerts(manifest, measured, now, score_before), problems=self._problems,
            query_log=self._log_said, seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip

    # --- what was ----------------------------------------------------------------------------------

    def _read_before(self, *, full: bool) -> None:
        manifest = self._publisher.current()
        self._before = _Before(manifest)
        for table in manifest.tables if manifest else ():
            try:
                self._before.documents[table.table_id] = self._publisher.document(table)
                self._before.listed[table.table_id] = table
            except InputError as error:
                # It is made anew: nobody has read it, as every reader checks it too.
                self._problems.append(f"{error}" if full else f"{error} (made anew)")

    def _read_log(self) -> None:
        try:
            self._log = self._collector.query_log()
        except EnvironmentProblemError as error:
            self._log_said = str(error)

    def _changed(self, founds: Sequence[Found], *, full: bool) -> set[str]:
        """Return the tables whose rows have to be read."""
        changed = set()
        for found in founds:
            name = found.entry.table_id
            note = self._inputs.notes.get(name)
            marks = sorted((column, each.personal) for column, each in (note.columns if note else {}).items())
            self._probes[name] = sha256(canonical([found.probe, marks]))[:32]
            listed = self._before.listed.get(name)
            if full or listed is None or listed.probe != self._probes[name]:
                changed.add(name)
        return changed

    def _removed(self, entries: Sequence[TableEntry]) -> list[str]:
        here = {each.table_id for each in entries}
        before = self._before.manifest.tables if self._before.manifest else []
        return [each.table_id for each in before if each.table_id not in here]

    # --- tables ------------------------------------------------------------------------------------

    def _entry(self, found: Found, changed: set[str]) -> TableEntry:
        """Return a table with what its rows say, read or remembered, and with what people say."""
        name = found.entry.table_id
        entry = self._marked(found.entry)
        if name not in changed:
            entry = _remembered(entry, self._before.documents[name].table)
        elif not found.readable:
            entry = profile.unread(entry, found.row_estimate)
        else:
            try:
                entry = profile.profiled(entry, self._collector.sample(found))
            except PermanentError as error:
                self._problems.append(f"{name}: its rows cannot be read: {error}")
                entry = profile.unread(entry, found.row_estimate)
        return self._described(entry)

    def _marked(self, entry: TableEntry) -> TableEntry:
        """Mark the columns that people say are about people."""
        note = self._inputs.notes.get(entry.table_id)
        if note is None:
            return entry
        columns = [
            each.model_copy(update={"pii": "marked"})
            if each.name in note.columns and note.columns[each.name].personal
            else each
            for each in entry.columns
        ]
        return entry.model_copy(update={"columns": columns})

    def _described(self, entry: TableEntry) -> TableEntry:
        """Add what people and dbt say; people come first, then dbt, then the database."""
        note, dbt = self._inputs.notes.get(entry.table_id), self._inputs.dbt.get(entry.table_id)
        facts: dict[str, Any] = {"columns": [_column(each, note, dbt) for each in entry.columns]}
        if dbt:
            facts |= {
                "description": dbt.description or entry.description, "dbt": dbt.entry, "metrics": dbt.metrics,
                "tags": dbt.tags, "owner": dbt.owner or entry.owner, "tier": dbt.tier,
            }  # fmt: skip
        if note:
            facts |= {
                "description": note.description or facts.get("description", entry.description),
                "owner": note.owner or facts.get("owner", entry.owner), "tier": note.tier or facts.get("tier"),
                "tags": sorted({*facts.get("tags", []), *note.tags}),
            }  # fmt: skip
        return entry.model_copy(update=facts)

    def _with_joins(
        self, founds: Sequence[Found], entries: Sequence[TableEntry], changed: set[str]
    ) -> list[TableEntry]:
        """Add the joins that are not declared, and how often tables are read."""
        read: Mapping[str, int] = {}
        logged: Mapping[str, list[ForeignKeyEntry]] = {}
        found: Mapping[str, list[ForeignKeyEntry]] = {}
        if changed:
            pairs = joins.candidates(founds, changed)
            found = joins.discovered(pairs, self._collector.is_included)
            read, logged = joins.from_log(self._log, entries, self._collector.dialect)
        here = {each.table_id for each in entries}
        done = []
        for entry in entries:
            name = entry.table_id
            dbt = self._inputs.dbt.get(name)
            before = self._before.documents[name].table if name in self._before.documents else None
            kept = [
                each
                for each in (before.foreign_keys if before else [])
                if each.origin == "querylog"
                or (each.origin == "ind" and not changed & {name, each.ref_table})
            ]
            keys = joins.merged(
                entry.foreign_keys, dbt.references if dbt else [], found.get(name, []), logged.get(name, []), kept
            )  # fmt: skip
            keys = [each for each in keys if each.origin == "declared" or each.ref_table in here]
            popularity = read.get(name) if changed else before.popularity if before else None
            facts = {"foreign_keys": keys, "popularity": popularity}
            done.append(_with_references(entry.model_copy(update=facts)))
        return done

    # --- examples, publishing ----------------------------------------------------------------------

    def _verified(self, entries: Sequence[TableEntry], now: datetime, *, full: bool) -> list[Example]:
        before = {each.id: each for document in self._before.documents.values() for each in document.examples}
        rejected = self._before.manifest.rejected if self._before.manifest else []
        before |= {each.id: each for each in rejected}
        if full:  # all are run again, but it is remembered which ones were right
            before = {
                name: each.model_copy(update={"schema_fingerprint": ""}) for name, each in before.items()
            }
        wanted = wanted_examples(self._inputs.examples, self._inputs.dbt, self._collector.dialect)
        verifier = Verifier(entries, self._collector.dialect, self._collector.prober, now)
        return [*verifier.verified(wanted, before), *self._logged(entries, wanted, before, now)]

    def _logged(
        self, entries: Sequence[TableEntry], wanted: Sequence[Example], before: Mapping[str, Example], now: datetime
    ) -> list[Example]:  # fmt: skip
        """Return the examples of the query log that are right and have rows: of others nobody has to hear."""
        if not self._inputs.query_log:
            return []
        dialect, forms = self._collector.dialect, {each.sql_skeleton for each in wanted}
        kept = [
            each for each in before.values()
            if each.origin == "querylog" and each.id not in self._inputs.left_out and each.sql_skeleton not in forms
        ]  # fmt: skip
        new = log_examples(self._log, entries, dialect, [*wanted, *kept], max(0, MOST - len(kept)))
        new = [each for each in new if each.id not in self._inputs.left_out]
        verifier = Verifier(entries, dialect, self._collector.prober, now, _LOG_LIMITS)
        proved = [
            each
            for each in verifier.verified([*kept, *new], before)
            if each.status == "valid" and each.row_count
        ]
        if self._log or proved:
            self._log_said = f"{len(proved)} examples are from the query log"
        return proved

    def _published(
        self, entries: Sequence[TableEntry], examples: Sequence[Example], now: datetime
    ) -> tuple[CacheManifest, bool]:
        served = by_table(examples)
        changed, kept = [], {}
        for entry in entries:
            name = entry.table_id
            before = self._before.documents.get(name)
            made = TableDocument(
                generated_at=now, table=entry, examples=served.get(name, []), source=self._source
            )
            if before and _same(before, made):
                kept[name] = self._before.listed[name].model_copy(update={"probe": self._probes[name]})
            else:
                changed.append(made)
        rejected = [each for each in examples if each.status != "valid"]
        measured = quality.measured(entries, examples, now, now)
        draft = CacheManifest(
            generated_at=now, source=self._source, quality=measured, rejected=rejected,
            stats={"columns": sum(len(each.columns) for each in entries), "examples": len(examples), "reads": self._collector.reads},
        )  # fmt: skip
        before_manifest = self._before.manifest
        is_new = (
            before_manifest is None
            or bool(changed)
            or bool(self._removed(entries))
            or _without_times(rejected) != _without_times(before_manifest.rejected)
        )
        if before_manifest is not None and not is_new:
            renewed = before_manifest.model_copy(update={"quality": measured})
            return self._publisher.renew(renewed, self._probes), False
        return self._publisher.publish(draft, changed, kept, self._probes), True


def _remembered(entry: TableEntry, before: TableEntry) -> TableEntry:
    """Return a table with what its rows said the last time."""
    columns = []
    for column in entry.columns:
        old = before.column(column.name)
        facts: dict[str, Any] = {name: getattr(old, name) for name in _FACTS} if old else {}
        if column.pii:
            facts |= {"pii": column.pii, **dict.fromkeys(_VALUES), "top_values": [], "samples": []}
        columns += [column.model_copy(update=facts), *known_parts(column, before)]
    return entry.model_copy(
        update={
            "columns": columns, "row_count": before.row_count, "row_count_is_exact": before.row_count_is_exact,
        }
    )  # fmt: skip


def _column(column: ColumnEntry, note: TableNote | None, dbt: DbtTable | None) -> ColumnEntry:
    said = note.columns.get(column.name) if note else None
    by_dbt = dbt.columns.get(column.name, "") if dbt else ""
    facts: dict[str, Any] = {}
    if said and said.description:
        facts = {"description": said.description, "description_origin": "human"}
    elif by_dbt:
        facts = {"description": by_dbt, "description_origin": "dbt"}
    if said:
        facts |= {"synonyms": said.synonyms, "unit": said.unit}
    return column.model_copy(update=facts)


def _with_references(entry: TableEntry) -> TableEntry:
    """Say at each column what it refers to, where that is one column."""
    single = {key.columns[0]: key for key in reversed(entry.foreign_keys) if len(key.columns) == 1}
    columns = [
        column.model_copy(
            update={
                "fk": ColumnReference(
                    table_id=single[column.name].ref_table, column=single[column.name].ref_columns[0]
                )
                if column.name in single
                else None
            }
        )
        for column in entry.columns
    ]
    return entry.model_copy(update={"columns": columns})


def _same(before: TableDocument, made: TableDocument) -> bool:
    same = made.table.model_copy(update={"last_updated": before.table.last_updated})
    return (
        same == before.table and list(made.examples) == list(before.examples) and made.source == before.source
    )


def _without_times(examples: Sequence[Example]) -> list[Example]:
    return [each.model_copy(update={"verified_at": None, "runtime_ms": None}) for each in examples]

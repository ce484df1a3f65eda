"""One load into a web API: collected in the outbox, sent by `publish`."""

from dataclasses import replace
from pathlib import Path

from dteg.connectors import Batch, Checkpoint, DeadLetter, LoadPlan, LoadResult, LoadSession, Schema
from dteg.core.errors import PermanentError, QualityGateError
from dteg.core.types import canonical, sql_type
from dteg.pipelines.schema_policy import SchemaChange, reconcile

from .delivery import COMPONENT, BatchSender, Delivery
from .encode import encode_rows
from .files import file_part, json_lines, replace_file
from .outbox import Outbox, Seal, SentBatch
from .state import lock, read_state, write_state


class RestSession(LoadSession):
    """Keeps records until `publish` sends them, so that a load that fails before has sent nothing."""

    def __init__(self, plan: LoadPlan, delivery: Delivery, batch_rows: int, folder: Path) -> None:
        """Wait for the turn of this load, and send to the end what an earlier one has left.

        Args:
            plan: The load.
            delivery: How to send.
            batch_rows: Records per request.
            folder: Where the files of all streams lie.
        """
        self._plan = plan
        self._delivery = delivery
        self._batch_rows = batch_rows
        self._stem = folder / f"{file_part(plan.pipeline)}.{file_part(plan.stream)}"
        self._outbox = Outbox(self._stem)
        self._change: SchemaChange | None = None
        self._rows_read = self._bytes_read = 0
        self._letters: list[DeadLetter] = []
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = lock(self._path("lock"))
        try:
            self._state = read_state(self._path("json"), delivery.url)
            left = self._outbox.sealed()
            if left and left.target == delivery.url and left.load_id not in self._state.loads:
                self._send(left, resumed=True)
        except BaseException:
            self.close()
            raise

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint of the last published load to the same URL."""
        return self._state.checkpoint

    @property
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with the same load id."""
        done = self._state.loads.get(self._plan.load_id)
        return replace(done, already_loaded=True) if done else None

    @property
    def changes(self) -> list[str]:
        """How the columns differ from those of the last load."""
        return self._change.notes() if self._change else []

    def begin(self, schema: Schema) -> Schema:
        """Compare the columns with those of the last load, and start an empty outbox."""
        known = {} if self._plan.full_refresh else self._state.columns
        policy, target = self._plan.schema_policy, self._delivery.url
        self._change = reconcile(known, schema, policy, target) if known else SchemaChange(schema)
        self._outbox.start()
        return self._change.schema

    def write(self, batch: Batch) -> None:
        """Keep the records until the publish."""
        if self._change is None or not batch.schema.equals(self._change.schema):
            raise PermanentError(
                "the batch does not have the schema that begin returned", component=COMPONENT
            )
        self._outbox.add(encode_rows(batch))
        self._rows_read += batch.num_rows
        self._bytes_read += batch.nbytes

    def reject(self, letters: list[DeadLetter]) -> None:
        """Keep records that were set aside."""
        self._rows_read += len(letters)
        self._letters += letters
        self._check_gate()

    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Send everything, then save checkpoint and load id.

        Raises:
            QualityGateError: The server refused more than `max_bad_rows`; the rest is not sent.
        """
        if self._change is None:
            raise PermanentError("publish before begin", component=COMPONENT)
        arriving = {column.name: canonical(sql_type(column)) for column in self._change.schema}
        seal = Seal(
            load_id=self._plan.load_id,
            target=self._delivery.url,
            batch_rows=self._batch_rows,
            checkpoint=checkpoint.to_json(),
            columns={**self._state.columns, **arriving},
            rows_read=self._rows_read,
            bytes_read=self._bytes_read,
            letters=self._letters,
        )
        self._outbox.seal(seal)
        return self._send(seal, resumed=False)

    def close(self) -> None:
        """Let the next load run."""
        self._outbox.close()
        self._lock.close()

    def _send(self, seal: Seal, *, resumed: bool) -> LoadResult:
        """Send what was not sent yet, and publish."""
        self._letters = list(seal.letters)
        sent = self._outbox.sent()
        written = 0
        try:
            for number, rows in enumerate(self._outbox.batches(seal.batch_rows)):
                if number < len(sent):
                    written += sent[number].written
                    self._letters += sent[number].letters
                    continue
                # A killed load may have sent the batch that follows those it noted, but none after it.
                may_repeat = (resumed and number == len(sent)) or seal.load_id == self._state.abandoned
                written += self._send_batch(seal.load_id, number, rows, may_repeat=may_repeat)
        except QualityGateError:
            self._abandon(seal)
            raise
        result = LoadResult(seal.rows_read, written, len(self._letters), seal.bytes_read)
        self._publish(seal, result)
        return result

    def _send_batch(self, load_id: str, number: int, rows: list[bytes], *, may_repeat: bool) -> int:
        before = len(self._letters)

        def on_letter(letter: DeadLetter) -> None:
            self._letters.append(letter)
            self._check_gate()

        written = BatchSender(self._delivery, load_id, number, may_repeat, on_letter).send(rows)
        self._outbox.note(SentBatch(written, self._letters[before:]))
        return written

    def _publish(self, seal: Seal, result: LoadResult) -> None:
        self._write_dead_letters(seal)
        self._state.checkpoint = Checkpoint.from_json(seal.checkpoint)
        self._state.columns = seal.columns
        self._state.loads[seal.load_id] = result
        self._state.abandoned = ""
        write_state(self._path("json"), self._state)
        self._forget()

    def _abandon(self, seal: Seal) -> None:
        """Give up a load whose records the server refuses: the next run reads the source again."""
        self._write_dead_letters(seal)
        self._state.abandoned = seal.load_id
        write_state(self._path("json"), self._state)
        self._forget()

    def _forget(self) -> None:
        self._outbox.drop()
        self._letters = []

    def _write_dead_letters(self, seal: Seal) -> None:
        if self._letters:
            path = self._path(f"{file_part(seal.load_id)}.dead_letters.jsonl")
            replace_file(path, json_lines(self._letters))

    def _check_gate(self) -> None:
        if len(self._letters) > self._plan.max_bad_rows:
            first = self._letters[0]
            raise QualityGateError(
                f"{len(self._letters)} bad rows, but max_bad_rows is {self._plan.max_bad_rows}; "
                f"the first: {first.position}: {first.reason}",
                failed=["max_bad_rows"],
            )

    def _path(self, suffix: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{suffix}")

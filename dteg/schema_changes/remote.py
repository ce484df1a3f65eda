"""Schema changes of a studio, over HTTP: the same methods as `SchemaChanges`."""

from collections.abc import Sequence

from dteg.schema_changes.models import (
    Break,
    ChangeFilter,
    ChangePage,
    Listening,
    NewListening,
    News,
    SchemaChange,
)
from dteg.studio_client import StudioClient

_PATH = "/schema-changes"


class RemoteSchemaChanges:
    """See `dteg.schema_changes.service.SchemaChanges`.

    Args:
        client: Of the studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def listen(
        self,
        database: str = "",
        *,
        truncate: Sequence[str] | None = None,
        keeps_text: bool = True,
        snapshot_only: bool = False,
    ) -> Listening:
        """Begin to capture the changes of a database."""
        wanted = NewListening(
            database=database,
            truncate=None if truncate is None else list(truncate),
            keeps_text=keeps_text,
            snapshot_only=snapshot_only,
        )
        return Listening.model_validate(self._client.post(f"{_PATH}/listening", wanted.model_dump()))

    def unlisten(self, database: str = "") -> None:
        """End the capture in a database."""
        self._client.delete(f"{_PATH}/listening", database=database)

    def listening(self) -> list[Listening]:
        """Return how it stands with each database that is listened to."""
        found = self._client.get(f"{_PATH}/listening")
        return [Listening.model_validate(each) for each in found["items"]]

    def listening_to(self, database: str) -> Listening:
        """Return how it stands with one database."""
        return Listening.model_validate(self._client.get(f"{_PATH}/listening/one", database=database))

    def databases(self) -> list[str]:
        """Return the databases that one may listen to."""
        return [str(name) for name in self._client.get(f"{_PATH}/databases")["items"]]

    def catch_up(self, *, snapshot: bool = False) -> bool:
        """Take note of what has happened, unless another process does that."""
        return bool(self._client.post(f"{_PATH}/catch-up", snapshot=snapshot)["done"])

    def read(
        self, cursor: int = 0, limit: int = 500, *, routine: bool = False, catch_up: bool = True
    ) -> tuple[list[SchemaChange], int]:
        """Return what came after a cursor, oldest first, and the cursor for the next time."""
        found = self._client.get(f"{_PATH}/after/{cursor}", limit=limit, routine=routine, catch_up=catch_up)
        news = News.model_validate(found)
        return news.items, news.cursor

    def last(self) -> int:
        """Return the cursor behind everything that is known now."""
        return int(self._client.get(f"{_PATH}/last")["cursor"])

    def changes(
        self,
        wanted: ChangeFilter | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        catch_up: bool = True,
    ) -> ChangePage:
        """Return changes, newest first."""
        asked = wanted.model_dump(mode="json", exclude_none=True) if wanted else {}
        found = self._client.get(_PATH, **asked, before=before, limit=limit, catch_up=catch_up)
        return ChangePage.model_validate(found)

    def change(self, number: int) -> SchemaChange:
        """Return one change."""
        return SchemaChange.model_validate(self._client.get(f"{_PATH}/events/{number}"))

    def breaks(self, *, mended: bool = False, limit: int = 200) -> list[Break]:
        """Return what changes have broken."""
        found = self._client.get(f"{_PATH}/breaks", mended=mended, limit=limit)
        return [Break.model_validate(each) for each in found["items"]]

    def dismiss(self, number: int, by: str) -> Break:
        """Close a break; the studio writes down who asks, whatever `by` says."""
        return Break.model_validate(self._client.post(f"{_PATH}/breaks/{number}/dismiss"))

    def prune(self, keep_s: float) -> int:
        """Delete changes and mended breaks that are older than `keep_s` seconds."""
        return int(self._client.post(f"{_PATH}/prune", keep_s=keep_s)["deleted"])

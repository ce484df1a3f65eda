"""A backup of the warehouse holds no password of a source, and after a restore they come from the vault."""

from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.postgres import dumping
from dteg.backups.service import Backups
from dteg.core.postgres import with_database
from dteg.sources.models import NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources

pytestmark = pytest.mark.integration
RESTORED = "restored_with_sources"


def test_no_password_is_in_a_dump(sources, crm, hub):
    password = urlsplit(crm).password
    sources.add(NewSource(slug="crm", kind="postgres", url=crm))
    assert password in str(hub.execute("SELECT umoptions FROM pg_user_mappings").fetchall())
    assert password.encode() not in hub.execute("SELECT sealed FROM _dteg.sources").fetchone()[0]
    dumped = bytearray()
    with dumping(sources.project.warehouse_url()) as dump:
        while piece := dump.program.stdout.read(1 << 16):
            dump.reader.feed(piece)
            dumped += piece
        dump.finish()
    assert b"USER MAPPING" in dumped
    assert b"src_crm" in dumped
    assert password.encode() not in dumped


def test_after_a_restore_the_passwords_come_from_the_vault(sources, crm, hub, tmp_path, monkeypatch):
    sources.add(NewSource(slug="crm", kind="postgres", url=crm))
    url = sources.project.warehouse_url()
    backups = Backups.of(sources.project)
    backup = backups.create(
        NewBackup(database=conninfo_to_dict(url)["dbname"], to=f"file://{tmp_path / 'store'}")
    )
    backups.restore(RestoreOrder(id=backup.id, into=RESTORED))
    monkeypatch.setenv("DTEG_POSTGRES_URL", with_database(url, RESTORED))
    try:
        restored = Sources.of(sources.project)
        with psycopg.connect(restored.project.warehouse_url()) as connection:
            assert connection.execute("SELECT DISTINCT umoptions FROM pg_user_mappings").fetchall() == [
                (None,)
            ]
        assert restored.relink_all() == {}
        assert restored.rows("crm", "customers", 1).rows[0][0] == 1
        with psycopg.connect(restored.project.warehouse_url()) as connection:
            rights = connection.execute(
                "SELECT has_table_privilege('dteg_builder', 'src_crm.customers', 'SELECT')"
            ).fetchone()
        assert rights == (True,)
    finally:
        Relaying(sources.project).stop()
        from dteg.core.control import close_kept

        close_kept()
        monkeypatch.undo()
        hub.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(RESTORED)))

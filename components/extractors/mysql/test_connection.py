"""What the server refuses, and TLS."""

import contextlib
import socket
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from dteg.core.errors import (
    ConfigError,
    EnvironmentProblemError,
    MissingExtraError,
    PermanentError,
    TransientError,
)
from dteg.testing.mariadb import mariadb_server
from dteg.testing.servers import fresh_port

from .conftest import read
from .mysql import MysqlExtractor

pytestmark = pytest.mark.integration


def test_a_wrong_password_is_permanent_and_not_shown(make, database, monkeypatch):
    parts = urlsplit(database.url)
    monkeypatch.setenv("TEST_PASSWORD", "wrong-and-private")
    url = f"mysql://{parts.username}@127.0.0.1:{parts.port}/{database.name}"
    with pytest.raises(PermanentError, match=r"Access denied .*check user and password") as caught:
        make(url=url, password="secret://env/TEST_PASSWORD", table="orders").check()
    assert "wrong-and-private" not in str(caught.value)
    monkeypatch.setenv("TEST_PASSWORD", parts.password)
    assert len(read(make(url=url, password="secret://env/TEST_PASSWORD", table="orders"))) == 4


def test_a_port_where_nothing_answers_is_transient(make):
    with pytest.raises(TransientError, match="Connection refused"):
        make(url=f"mysql://me@127.0.0.1:{fresh_port()}/d", table="t").check()


def test_a_host_that_does_not_exist_is_permanent(make, monkeypatch):
    def nowhere(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", nowhere)
    with pytest.raises(PermanentError, match=r"there is no host 'db.invalid'"):
        make(url="mysql://me@db.invalid/d", table="t").check()


def test_an_unknown_table_column_or_option_names_the_near_miss(make, database):
    with pytest.raises(PermanentError, match=r'no table test_\w+\.oders; did you mean "orders"\?'):
        make(table="oders").check()
    with pytest.raises(ConfigError, match=r"'orders' has no column 'nme'; did you mean \"name\"\?"):
        make(table="orders", columns=["nme"]).check()
    with pytest.raises(ConfigError, match="unknown option 'ssl'"):
        make(url=f"mysql://me@127.0.0.1/{database.name}?ssl=1", table="orders").check()
    with pytest.raises(ConfigError, match=r"write database.table"):
        make(url="mysql://me@127.0.0.1", table="orders").check()


def test_without_the_driver_the_extra_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    for use in (MysqlExtractor.check, lambda extractor: extractor.change_sensor().fingerprint()):
        with pytest.raises(MissingExtraError, match=r'uv pip install "dteg\[mysql\]"'):
            use(make(table="orders"))


def test_a_user_without_rights_is_told_so(make, database, monkeypatch):
    parts = urlsplit(database.url)
    database.sql("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'p@ss:w/ö'")
    database.sql(f"GRANT SELECT ON {database.name}.orders TO reader@'127.0.0.1'")
    try:
        monkeypatch.setenv(
            "READER", f"mariadb://reader:p%40ss%3Aw%2F%C3%B6@127.0.0.1:{parts.port}/{database.name}"
        )
        assert len(read(make(url="secret://env/READER", table="orders"))) == 4
        with pytest.raises(PermanentError, match=r"denied .*right to SELECT"):
            make(url="secret://env/READER", table="cheap").check()
    finally:
        database.sql("DROP USER reader@'127.0.0.1'")


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    """A server with a certificate for 127.0.0.1, and the file of its authority."""
    folder = tmp_path_factory.mktemp("tls", numbered=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    with contextlib.ExitStack() as stack:
        # The server's user must be able to read them.
        readable = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dteg-tls-")))
        readable.chmod(0o755)
        certificate.cert_chain_pems[0].write_to_path(readable / "cert.pem")
        certificate.private_key_pem.write_to_path(readable / "key.pem")
        for path in readable.iterdir():
            path.chmod(0o644)
        try:
            url = stack.enter_context(
                mariadb_server(
                    f"--ssl-cert={readable / 'cert.pem'}",
                    f"--ssl-key={readable / 'key.pem'}",
                    "--require-secure-transport=ON",
                )
            )
        except EnvironmentProblemError as error:
            pytest.skip(f"no MariaDB here: {error}")
        yield url, ca


def test_tls_is_used_and_the_certificate_checked(make, tls_server, monkeypatch, tmp_path):
    url, ca = tls_server
    monkeypatch.setenv("TLS", url)
    query = {
        "url": "secret://env/TLS",
        "stream": "s",
        "query": "SELECT id, REPEAT('x', 100) AS x FROM (SELECT seq AS id FROM seq_1_to_50000) AS t",
    }
    for tls in ("preferred", "required"):
        assert len(read(make(**query, tls=tls))) == 50_000
    for tls in ("verify_ca", "verify_identity"):
        assert len(read(make(**query, tls=tls, tls_ca=str(ca)))) == 50_000
        with pytest.raises(PermanentError, match=r"certificate verify failed.*check tls, tls_ca"):
            make(**query, tls=tls).check()
    with pytest.raises(PermanentError, match=r"denied|secure transport"):
        make(**query, tls="disabled").check()
    monkeypatch.setenv("TLS", url.replace("127.0.0.1", "localhost"))
    assert make(**query, tls="verify_ca", tls_ca=str(ca)).config.tls == "verify_ca"
    with pytest.raises(PermanentError, match="certificate verify failed"):
        make(**query, tls="verify_identity", tls_ca=str(ca)).check()
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(PermanentError, match="certificate verify failed"):
        make(**query, tls="verify_ca", tls_ca=str(other)).check()


def test_a_server_without_tls_is_refused_where_tls_is_required(make):
    with pytest.raises(PermanentError, match=r"SSL|TLS"):
        make(table="orders", tls="required").check()

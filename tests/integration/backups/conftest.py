"""A project whose warehouse is an empty database, and a database beside it that is backed up."""

import contextlib
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from dteg.backups.models import NewBackup
from dteg.backups.service import Backups
from dteg.core.project import Project
from dteg.testing.servers import database, fresh_port
from tests.integration.backups import samples


@pytest.fixture(scope="session")
def sample_template(postgres_server):
    samples.make_roles(postgres_server)
    with database(postgres_server) as url:
        samples.fill(url)
        yield urlsplit(url).path[1:]


@pytest.fixture
def shop(postgres_server, sample_template):
    """URL of a database with one of everything."""
    with database(postgres_server, template=sample_template) as url:
        name = urlsplit(url).path[1:]
        with psycopg.connect(
            postgres_server, autocommit=True
        ) as admin:  # a template brings no properties of its own
            for statement in ("SET search_path TO shop, public",):
                admin.execute(sql.SQL("ALTER DATABASE {} ").format(sql.Identifier(name)) + sql.SQL(statement))
            admin.execute(
                sql.SQL("GRANT CREATE ON DATABASE {} TO backup_reader").format(sql.Identifier(name))
            )
        yield url


@pytest.fixture
def name(shop):
    return urlsplit(shop).path[1:]


@pytest.fixture
def project(postgres_url, tmp_path, monkeypatch):
    (tmp_path / "project" / "pipelines").mkdir(parents=True)
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path / "project"))
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    for each in ("DTEG_BACKUP_TARGET", "DTEG_BACKUP_KEY", "DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
        monkeypatch.delenv(each, raising=False)
    return Project(tmp_path / "project")


@pytest.fixture
def backups(project):
    return Backups.of(project)


@pytest.fixture
def new_name(postgres_server):
    """Names for restored databases, which are dropped at the end, and at the beginning if another test left one."""
    made = []

    def give(name):
        _drop(postgres_server, [name])
        made.append(name)
        return name

    yield give
    _drop(postgres_server, made)


def _drop(server, names):
    with psycopg.connect(server, autocommit=True) as admin:
        for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall():
            if any(name == each or name.startswith(f"{each}_before_") for each in names):
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def order(name, **more):
    return NewBackup.model_validate({"database": name, **more})


def beside(url, name):
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def databases(url):
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory):
    """An S3 server as moto plays it, in a process of its own."""
    port = fresh_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5).close()
                break
            assert process.poll() is None, Path(log.name).read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory):
    """An SFTP server with throwaway keys: OpenSSH's where it is installed, else asyncssh's own. Yields port and folder."""
    from tests.integration.backups.sftp_server import serving

    with serving(tmp_path_factory.mktemp("sftp")) as found:
        yield found


@pytest.fixture
def sftp_uri(sftp_server, tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_SFTP_KNOWN_HOSTS", str(sftp_server.known_hosts))
    monkeypatch.setenv("DTEG_SFTP_KEY_FILE", str(sftp_server.client_key))
    folder = sftp_server.root / f"b{time.time_ns()}"
    yield f"sftp://{sftp_server.user}@127.0.0.1:{sftp_server.port}{folder}"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def s3_uri(s3_url, monkeypatch):
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT": s3_url, "AWS_ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{time.time_ns()}"
    boto3.client(
        "s3",
        endpoint_url=s3_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    ).create_bucket(Bucket=bucket)
    return f"s3://{bucket}/backups"

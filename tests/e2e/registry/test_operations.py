"""What an operator of a registry runs: the worker of the gates, backup, restore, checks of the logs."""

import os
import re
import subprocess
import sys

import pytest

from dteg.gates import Sandbox, local_runner
from registry.settings import MONGODB_VARIABLE, PREFIX
from registry.testing import running_registry
from tests.integration.registry.publishing import Publisher, api

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def publisher(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry") as registry:
        yield Publisher(registry, tmp_path / "wheels")


def command(publisher, *arguments, ok=0, **settings):
    told = publisher.registry.settings
    environment = {
        **os.environ, MONGODB_VARIABLE: told.mongodb_url.reveal(), f"{PREFIX}DATABASE": told.database,
        f"{PREFIX}DATA_DIR": str(told.data_dir), f"{PREFIX}GATE_WORKERS": "0", **settings,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "registry", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == ok, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_worker_proves_a_release_in_the_sandbox_and_it_is_listed(publisher):
    answer = publisher.publish()
    command(publisher, "worker", "--once")
    registry = publisher.registry
    release = registry.request("GET", api(answer["url"])).json()
    progress = registry.request("GET", f"{api(answer['url'])}/gates").json()
    if isinstance(local_runner(), Sandbox):
        assert (release["state"], release["reason"]) == ("listed", ""), progress
        assert release["compatibility"][0]["status"] == "pass"
        assert release["score"] > 50
    else:
        # Nothing is proved without a sandbox, and the gates say so.
        assert release["state"] == "testing"
        assert "unknown" in {each["status"] for each in progress["results"]}


def test_backup_restore_and_checks_from_the_command_line(publisher, tmp_path):
    publisher.list()
    assert re.match(r"3 entries, head [0-9a-f]{64}\n", command(publisher, "verify-log"))
    said = command(publisher, "backup", str(tmp_path / "backup"))
    sha256 = said.split()[-1]
    assert "whole: " in command(publisher, "verify-backup", str(tmp_path / "backup"), "--expect", sha256)
    refused = command(publisher, "restore", str(tmp_path / "backup"), ok=1)
    assert "the database is not empty" in refused
    other = {
        f"{PREFIX}DATABASE": f"{publisher.registry.settings.database}_new",
        f"{PREFIX}DATA_DIR": str(tmp_path / "new"),
    }
    try:
        assert "restored the backup of" in command(
            publisher, "restore", str(tmp_path / "backup"), "--expect", sha256, **other
        )
        assert command(publisher, "verify-log", **other) == command(publisher, "verify-log")
    finally:
        client = publisher.registry.services.database._client
        publisher.registry.run(client.drop_database(other[f"{PREFIX}DATABASE"]))
    path = next((tmp_path / "backup").glob("blobs/??/*"))
    path.write_bytes(b"other")
    assert "its SHA-256 differs" in command(publisher, "verify-backup", str(tmp_path / "backup"), ok=2)

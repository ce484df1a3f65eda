import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

PASSWORD = "hunter2-Geheim"


def write_rows(folder, count):
    with (folder / "rows.csv").open("w") as out:
        out.write("id,name\n")
        for number in range(count):
            out.write(f"{number},name {number}\n")


PIPELINE = """
pipeline:
  name: p
  steps:
    - extract: {type: files, config: {path: rows.csv}}
    - load: {type: postgres, config: {table: raw.t%s}, write: merge, primary_key: [id]}
"""


def fingerprint(url):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM raw.t), (SELECT max(xmin::text) FROM raw.t), (SELECT count(*) FROM _dteg.loads),"
            " (SELECT string_agg(load_id, ',') FROM _dteg.checkpoints), (SELECT count(*) FROM pg_class WHERE relkind = 'r')"
        ).fetchone()


def test_ctrl_c_in_the_middle_leaves_130_and_an_unchanged_database(shell):
    write_rows(shell.folder, 10)
    shell.pipeline(PIPELINE % "")
    shell("run", "p")
    before = fingerprint(shell.url)
    with (
        psycopg.connect(shell.url, autocommit=True) as blocker,
        psycopg.connect(shell.url, autocommit=True) as watcher,
    ):
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE raw.t IN EXCLUSIVE MODE")  # the load waits here for its merge
        write_rows(shell.folder, 5000)
        process = shell.start("run", "p", stdout=subprocess.PIPE)
        deadline = time.monotonic() + 120
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dteg' AND wait_event_type = 'Lock'"
        while watcher.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        blocker.execute("ROLLBACK")
    assert process.returncode == 130, err
    assert "interrupted; nothing of the unfinished load was kept" in err
    assert "Traceback" not in err
    assert out == ""
    assert fingerprint(shell.url) == before


def test_a_reader_that_has_seen_enough_ends_nothing_in_a_traceback(project):
    # The second has less output than a buffer: its error would come only at the end of Python.
    for arguments in (
        ["pipeline", "schema"],
        ["pipeline", "list"],
        ["read", "raw.cities", "--format", "csv"],
    ):
        reading, writing = os.pipe()
        process = project.start(*arguments, stdout=writing)
        os.close(writing)
        os.close(reading)
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")


def test_head_ends_a_long_output(project):
    script = f'"{sys.executable}" -c "from dteg.cli import main; main()" pipeline schema | head -n 2'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.startswith("{\n")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("end", "code", "says"),
    [
        ("tables > /dev/full", 3, "error: No space left on device: the output is cut off\n"),
        ("tables >&-", 0, ""),
        ("tables <&- >&- 2>&-", 0, ""),
    ],
)
def test_no_output_or_a_full_one_is_no_bug(project, end, code, says):
    if "/dev/full" in end and not Path("/dev/full").exists():
        pytest.skip("NO FULL DISK IS TRIED: THERE IS NO /dev/full")
    script = f'"{sys.executable}" -c "from dteg.cli import main; main()" {end}'
    done = subprocess.run(
        ["sh", "-c", script], cwd=project.folder, env=project.environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, says)


def url_with_password(url):
    return url.replace("postgres@", f"postgres:{PASSWORD}@", 1)


@pytest.mark.parametrize(
    "arguments",
    [["info", "--json"], ["doctor"], ["run", "hello"]],
)
def test_a_password_in_the_environment_is_never_printed(project, arguments):
    url = url_with_password(project.url)
    assert PASSWORD in url
    done = project.process(*arguments, DTEG_POSTGRES_URL=url, PGPASSWORD=PASSWORD)
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?password={}",
        "host=127.0.0.1 port=1 password={}",
    ],
)
def test_a_password_is_not_in_the_error_of_a_server_that_does_not_answer(project, url):
    done = project("doctor", code=3, DTEG_POSTGRES_URL=url.format(PASSWORD))
    assert "missing   warehouse: " in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_a_run_against_a_server_that_does_not_answer_gives_up_without_the_password(shell):
    write_rows(shell.folder, 3)
    shell.pipeline((PIPELINE % ", url: secret://env/WAREHOUSE") + "  retry: {max_attempts: 1}\n")
    done = shell("run", "p", code=1, WAREHOUSE=f"postgresql://me:{PASSWORD}@127.0.0.1:1/x")
    assert "127.0.0.1" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_a_secret_of_a_pipeline_is_shown_as_its_reference_only(shell):
    write_rows(shell.folder, 3)
    shell.pipeline(PIPELINE % ", url: secret://env/WAREHOUSE")
    shown = shell("pipeline", "show", "p", "--json", WAREHOUSE=url_with_password(shell.url)).stdout
    assert "secret://env/WAREHOUSE" in shown
    done = shell("run", "p", WAREHOUSE=url_with_password(shell.url))
    assert PASSWORD not in shown + done.stdout + done.stderr
    missing = shell("run", "p", code=2)
    assert "the environment variable WAREHOUSE is not set" in missing.stderr
    shell.pipeline(PIPELINE % f", url: 'postgresql://me:{PASSWORD}@db/x'", "inline")
    refused = shell("pipeline", "validate", "inline", code=2)
    assert "the URL holds a password" in refused.stderr
    assert PASSWORD not in refused.stdout + refused.stderr


def test_the_journal_and_the_dead_letters_hold_no_secret(shell):
    write_rows(shell.folder, 3)
    shell.pipeline(
        (PIPELINE % ", url: secret://env/WAREHOUSE").replace("write: merge", "max_bad_rows: 5, write: merge")
    )
    with (shell.folder / "rows.csv").open("a") as out:
        out.write(",no key\n")
    shell("run", "p", WAREHOUSE=url_with_password(shell.url))
    with psycopg.connect(shell.url, autocommit=True) as connection:
        tables = ("_dteg.loads", "_dteg.checkpoints", "raw.t__dead_letters")
        stored = str([connection.execute(f"SELECT t::text FROM {table} AS t").fetchall() for table in tables])
    assert "no key" in stored
    assert PASSWORD not in stored

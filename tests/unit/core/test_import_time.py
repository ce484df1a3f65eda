"""The command line answers at once: it imports nothing heavy before a command needs it."""

import resource
import subprocess
import sys

import pytest

HEAVY = {"pyarrow", "psycopg", "pydantic", "httpx", "dbt", "dagster", "orjson", "jinja2", "tenacity"}


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["pipeline", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"import sys; from dteg.cli.main import run_app; code = run_app({arguments!r}); print(code, *sys.modules)"
    code_line = run(code).splitlines()[-1].split()
    assert code_line[0] == "0"
    assert HEAVY & set(code_line[1:]) == set()


def test_the_command_line_is_imported_quickly():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run("import dteg.cli")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # About 0.2 s of a core, which others who want the machine do not make longer.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_the_library_imports_no_app_and_no_framework():
    modules = run(
        "import sys, dteg.pipelines.runner, dteg.connectors, dteg.tables.read; print(*sys.modules)"
    ).split()
    assert {"dagster", "dbt", "components", "orchestration", "fastapi", "pymongo"} & set(modules) == set()

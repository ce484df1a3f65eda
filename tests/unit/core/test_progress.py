"""What a run shows: bars on a terminal, lines elsewhere, nothing with `--json`."""

import subprocess
import sys

import pytest

from dteg.cli import progress
from dteg.cli.bars import RunBars
from dteg.cli.progress import RunProgress, progress_display
from dteg.connectors import LoadResult
from dteg.core.errors import TransientError
from dteg.pipelines.results import StreamResult, TransformResult


def tell(display):
    with display:
        display.stream_started("s", "raw.[t]")
        display.batch_loaded("s", 1500, 10)
        display.retrying("s", 1, 0.5, TransientError("gone"))
        display.bytes_relayed("s", 3 << 20)
        display.stream_finished(
            StreamResult("s", "raw.[t]", LoadResult(5, 4, 1), changes=["column b added as text"])
        )
        display.transform_started("dbt")
        display.transform_finished(TransformResult("dbt", models=2, tests_passed=3))


@pytest.mark.parametrize("make", [RunProgress, RunBars])
def test_a_run_is_told_line_by_line(make, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LINE_EVERY_S", -1)
    tell(make())
    shown = capsys.readouterr()
    assert shown.out == ""
    for line in (
        "s: attempt 1 failed, next in 0.5 s: gone",
        "raw.[t]: 5 read, 4 written, 1 set aside",
        "raw.[t]: column b added as text",
        "dbt: 2 models, 3 tests passed",
    ):
        assert line in shown.err.splitlines()
    assert ("s: 3 MiB" in shown.err) == (make is RunProgress)


def test_a_quiet_run_shows_nothing(capsys):
    tell(progress_display(quiet=True))
    assert capsys.readouterr() == ("", "")


def test_only_a_terminal_gets_bars(monkeypatch):
    assert type(progress_display(quiet=False)) is RunProgress
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert type(progress_display(quiet=False)) is RunBars
    assert type(progress_display(quiet=True)) is RunProgress


def test_lines_need_no_rich():
    code = (
        "import sys, dteg.cli.progress as p; p.progress_display(quiet=False); sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE).returncode == 0

"""The documentation is run, not believed.

Every ```console block of README.md, ARCHITECTURE.md, CONTRIBUTING.md and docs/**.md: the lines that begin with `$ `
are run by bash in the order of the document, in one temporary folder and against one empty database per document.
A command must exit with 0, or with N where `<!-- exit: N -->` stands above its block (for the last command of the
block). A line shown below a command must occur in what it prints; `...` stands for any text. A block under
`<!-- file: PATH -->` is written to PATH before what follows, relative to the folder the shell is in.

NOT RUN: COMMANDS THAT BEGIN WITH `make ` OR `git `, OR THAT CONTAIN `dagster`. OF THESE ONLY THE WORD OF `make` IS
LOOKED UP IN THE MAKEFILE: WHAT THEY PRINT IS NOT TESTED HERE.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dteg.cli import app
from dteg.connectors.discovery import discover
from tests.e2e.docs.forked import forked_dteg

pytestmark = [pytest.mark.e2e, pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[3]
TOP = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
DOCUMENTS = [ROOT / name for name in TOP if (ROOT / name).exists()] + sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
COMMENT = re.compile(r"^\s*<!--\s*(?P<key>file|exit):\s*(?P<value>\S+)\s*-->\s*$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
GLOSSARY = """
    extractor, processor, loader, stream, batch, record, checkpoint, cursor, write disposition, primary key,
    dead letter, schema policy, asset, asset check, sensor, schedule, staging, intermediate, mart, contract,
    freshness, lineage, project, warehouse, component, manifest
"""


@dataclass
class Block:
    """One fenced block.

    Attributes:
        language: What stands behind the fence.
        line: 1-based line of the fence.
        notes: `file` and `exit` of the comments right above it.
        lines: Its lines, without the indent of the fence.
    """

    language: str
    line: int
    notes: dict[str, str]
    lines: list[str] = field(default_factory=list)

    def commands(self):
        """Return (command, lines shown below it, exit code)."""
        found = []
        for line in self.lines:
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                assert found, f"line {self.line}: a console block begins with a command, not with output"
                found[-1][1].append(line)
        last = len(found) - 1
        return [
            (command, shown, int(self.notes.get("exit", 0)) if number == last else 0)
            for number, (command, shown) in enumerate(found)
        ]


def blocks_of(text):
    notes, block, indent = {}, None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            if line.strip() == "```":
                yield block
                block, notes = None, {}
            else:
                block.lines.append(line.removeprefix(indent))
        elif fence := FENCE.match(line):
            indent = fence["indent"]
            block = Block(fence["language"], number, notes)
        elif comment := COMMENT.match(line):
            notes[comment["key"]] = comment["value"]
        elif line.strip():
            notes = {}


def is_run(command):
    return not (command.startswith(("make ", "git ")) or "dagster" in command)


class Shell:
    """Bash that forgets nothing between two commands: folder and exported variables go on."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment
        self.state = folder.parent / "state.sh"
        self.state.write_text(f"cd '{folder}'\n")

    def run(self, command):
        script = (
            f". '{self.state}'\n{command}\n__code=$?\n"
            f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{self.state}'\nexit $__code"
        )
        return self._bash(script)

    def write(self, path, text):
        where = Path(self._bash(f". '{self.state}'; pwd").stdout.strip()) / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)

    def _bash(self, script):
        return subprocess.run(
            ["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, env=self.environment, cwd=self.folder, timeout=150, check=False,
        )  # fmt: skip


def squeezed(text):
    return " ".join(text.split())


def missing_lines(shown, output):
    """Return the shown lines that the output does not hold; blanks count as one, `...` as any text."""
    there = [squeezed(line) for line in output.splitlines()]
    patterns = {line: re.escape(squeezed(line)).replace(r"\.\.\.", ".*") for line in shown}
    return [line for line, pattern in patterns.items() if not any(re.search(pattern, each) for each in there)]


def has_commands(path):
    return any(block.language == "console" for block in blocks_of(path.read_text()))


@pytest.fixture(scope="module")
def programs():
    """A folder for PATH with `dteg`."""
    with tempfile.TemporaryDirectory(prefix="dteg-") as folder, forked_dteg(Path(folder)) as programs:
        yield programs


@pytest.mark.parametrize(
    "document",
    [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS if has_commands(path)],
)
def test_commands_do_what_the_document_shows(document, programs, postgres_url, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DTEG_", "DAGSTER_", "COV_"))
    }
    ours |= {
        "DTEG_POSTGRES_URL": postgres_url, "HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "200",
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }  # fmt: skip
    shell = Shell(folder, ours)
    try:
        walk(document, shell)
    finally:
        if "dteg studio" in document.read_text():
            shell.run("dteg stop")  # a document that fails half way has a server running


def walk(document, shell):
    for block in blocks_of(document.read_text()):
        if "file" in block.notes:
            shell.write(block.notes["file"], "\n".join(block.lines) + "\n")
        if block.language != "console":
            continue
        for command, shown, code in block.commands():
            if not is_run(command):
                continue
            done = shell.run(command)
            where = f"{document.relative_to(ROOT)}:{block.line}: $ {command}"
            assert done.returncode == code, (
                f"{where}\nexit code {done.returncode}, not {code}:\n{done.stdout}"
            )
            assert not missing_lines(shown, done.stdout), (
                f"{where}\nnot printed: {missing_lines(shown, done.stdout)}\nbut:\n{done.stdout}"
            )


def test_words_of_make_exist():
    words = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        text = path.read_text()
        used = {
            word
            for block in blocks_of(text)
            for line in block.lines
            for word in re.findall(r"(?:^|\s)make ((?:[a-z-]+ ?)+)", line.split(" #")[0].removeprefix("$ "))
            if block.language == "sh" or (block.language == "console" and line.startswith("$ "))
        } | set(re.findall(r"`make ([a-z-]+)`", text))
        assert {word for words_ in used for word in words_.split()} <= words, path.name


def test_generated_references_are_what_the_code_says():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_command_has_a_section():
    page = (ROOT / "docs/reference/cli.md").read_text()
    names = list(names_of(app, "dteg"))
    assert "dteg studio token create" in names
    assert [name for name in names if f"\n## {name}\n" not in page] == []


def names_of(command, path):
    """Yield the words of every command that does something."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield path
    for name, part in inner.items():
        yield from names_of(part, f"{path} {name}")


def test_every_component_has_a_section_and_a_readme():
    page = (ROOT / "docs/reference/connectors.md").read_text()
    found = discover().values()
    assert [
        each.manifest.name
        for each in found
        if f"\n## {each.manifest.name} {each.manifest.kind}\n" not in page
    ] == []
    assert [str(each.folder) for each in found if not (each.folder / "README.md").is_file()] == []


def anchors_of(path):
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL), re.MULTILINE
    )
    plain = [re.sub(r"[`*]|\[|\]\([^)]*\)", "", head).lower().strip().replace(" ", "-") for head in heads]
    return {"".join(letter for letter in head if letter.isalnum() or letter in "-_") for head in plain}


@pytest.mark.parametrize(
    "document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS]
)
def test_relative_links_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and target.suffix == ".md" and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_document_is_in_the_map():
    text = (ROOT / "docs/index.md").read_text()
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in LINK.findall(text)}
    folder = ROOT / "docs"
    pages = [path for path in DOCUMENTS if path.is_relative_to(folder) and path != folder / "index.md"]
    assert [str(path.relative_to(folder)) for path in pages if path not in listed] == []


def test_glossary_has_the_words_of_the_field():
    heads = set(re.findall(r"^\*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE))
    assert {squeezed(term) for term in GLOSSARY.split(",")} - heads == set()


@pytest.mark.parametrize(("shown", "fits"), [("done: 4 rows, ... s", True), ("done: 5 rows, ... s", False)])
def test_this_file_sees_wrong_output(shown, fits):
    assert (missing_lines([shown], "x\n done:  4 rows, 0.3 s\n") == []) is fits

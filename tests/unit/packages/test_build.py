"""Building: the same bytes each time, and nothing that would be refused later."""

import os
import sys
import zipfile

import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.packages import PackageError, build_wheel, inspect_wheel
from tests.factories import make_component
from tests.unit.packages.archives import tree

KINDS = ["extractor", "loader", "processor", "transformer"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_folder_gives_the_same_bytes(tmp_path, kind):
    first = make_component(tmp_path / "one", kind=kind)
    second = make_component(tmp_path / "two" / "deeper", kind=kind)
    for number, path in enumerate(sorted(second.iterdir(), reverse=True)):  # other dates, modes and leftovers
        os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
        path.chmod(0o600)
    (second / "__pycache__").mkdir(exist_ok=True)
    (second / "__pycache__" / "numbers.cpython-39.pyc").write_bytes(b"old")
    (second / ".DS_Store").write_bytes(b"x")
    (second / "numbers.py~").write_bytes(b"x")
    wheels = [
        build_wheel(folder, namespace="streaming", out=folder / ".." / "out") for folder in (first, second)
    ]
    assert wheels[0].name == wheels[1].name == f"dteg_streaming_numbers_{kind}-1.0.0-py3-none-any.whl"
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def test_what_is_in_it(tmp_path):
    folder = make_component(tmp_path, tags=["numbers", "demo"], homepage="https://example.org/numbers")
    (folder / "data").mkdir()
    (folder / "data" / "seed.csv").write_text("a\n1\n")
    contents = inspect_wheel(build_wheel(folder, namespace="streaming", out=tmp_path))
    package = "dteg_components/streaming/numbers_extractor/"
    names = [file.path.removeprefix(package) for file in contents.files if file.path.startswith(package)]
    assert names == ["README.md", "__init__.py", "data/seed.csv", "dteg.schema.json", "dteg.yaml", "for_dagster.py",
                     "numbers.py", "test_numbers.py"]  # fmt: skip
    assert contents.manifest.namespace == "streaming"
    assert contents.readme == (folder / "README.md").read_text()
    assert contents.config_schema["properties"]["columns"]["description"]
    assert contents.filename.endswith("-1.0.0-py3-none-any.whl")


def test_metadata_is_what_installers_read(tmp_path):
    folder = make_component(tmp_path, dependencies=["httpx>=0.28", "Foo.Bar[x]>=1; python_version < '3.12'"])
    with zipfile.ZipFile(build_wheel(folder, namespace="streaming", out=tmp_path)) as wheel:
        info = "dteg_streaming_numbers_extractor-1.0.0.dist-info"
        metadata = wheel.read(f"{info}/METADATA").decode()
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    head = metadata.split("\n\n")[0].splitlines()
    assert "Requires-Dist: dteg>=0.1,<1" in head
    assert "Requires-Dist: Foo.Bar[x]>=1; python_version < '3.12'" in head
    assert "Requires-Python: >=3.11" in head
    assert entry_points == (
        "[dteg.components]\nstreaming.numbers-extractor = dteg_components.streaming.numbers_extractor\n\n"
        "[dagster_dg_cli.registry_modules]\n"
        "streaming.numbers-extractor = dteg_components.streaming.numbers_extractor.for_dagster\n"
    )


def test_a_line_break_in_a_value_begins_no_field(tmp_path):
    folder = make_component(
        tmp_path, author="me\nRequires-Dist: evil", description="one line\nName: other thing"
    )
    contents = inspect_wheel(build_wheel(folder, namespace="streaming", out=tmp_path))
    with zipfile.ZipFile(tmp_path / contents.filename) as wheel:
        metadata = wheel.read("dteg_streaming_numbers_extractor-1.0.0.dist-info/METADATA").decode()
    assert "\nRequires-Dist: evil" not in metadata
    assert metadata.count("\nName: ") == 1


def test_the_namespace_is_written_into_the_manifest_and_nothing_else_changes(tmp_path):
    folder = make_component(tmp_path)
    text = "# mine\n\n" + (folder / "dteg.yaml").read_text()
    (folder / "dteg.yaml").write_text(text)
    with zipfile.ZipFile(build_wheel(folder, namespace="streaming", out=tmp_path)) as wheel:
        written = wheel.read("dteg_components/streaming/numbers_extractor/dteg.yaml").decode()
    assert written.replace("namespace: streaming\n", "") == text
    assert (folder / "dteg.yaml").read_text() == text


@pytest.mark.parametrize("namespace", ["", "a", "Ab", "a-b", "a_b", "1a", "a/b", "../a", "a" * 40, "ä" * 3])
def test_what_is_no_namespace(tmp_path, namespace):
    with pytest.raises(ConfigError, match="is no namespace"):
        build_wheel(make_component(tmp_path), namespace=namespace, out=tmp_path / "out")


def test_another_namespace_in_the_manifest(tmp_path):
    folder = make_component(tmp_path, namespace="others")
    with pytest.raises(
        ConfigError, match=r"dteg.yaml:\d+: namespace: is 'others', but the package is built for 'mine'"
    ):
        build_wheel(folder, namespace="mine", out=tmp_path)


def test_a_manifest_in_braces_is_told_what_to_write(tmp_path):
    folder = make_component(tmp_path)
    (folder / "dteg.yaml").write_text(
        "{name: numbers, version: 1.0.0, kind: extractor, entry_point: 'numbers:NumbersExtractor', author: me, "
        "description: Some numbers., category: other}"
    )
    with pytest.raises(ConfigError, match="write the line `namespace: mine` into it"):
        build_wheel(folder, namespace="mine", out=tmp_path)


@pytest.mark.parametrize(
    ("name", "code"),
    [("fast.so", "native"), ("run.sh", "file-kind"), ("x.pth", "pth-file"), ("a b.txt", "name-characters"), ("aux.txt", "device-name")],
)  # fmt: skip
def test_what_the_registry_refuses_is_refused_here(tmp_path, name, code):
    folder = make_component(tmp_path)
    (folder / name).write_bytes(b"x")
    before = tree(tmp_path)
    with pytest.raises(PackageError) as refused:
        build_wheel(folder, namespace="streaming", out=tmp_path / "out")
    assert refused.value.codes == {code}
    assert refused.value.problems[0].entry == name
    assert {key: value for key, value in tree(tmp_path).items() if "__pycache__" not in key} == before


def test_links_are_refused(tmp_path):
    folder = make_component(tmp_path)
    (folder / "secrets.txt").symlink_to("/etc/passwd")
    with pytest.raises(PackageError) as refused:
        build_wheel(folder, namespace="streaming", out=tmp_path)
    assert refused.value.codes == {"symlink"}


def test_links_to_folders_are_refused(tmp_path):
    folder = make_component(tmp_path)
    (folder / "other").symlink_to("/etc", target_is_directory=True)
    with pytest.raises(PackageError) as refused:
        build_wheel(folder, namespace="streaming", out=tmp_path)
    assert refused.value.codes == {"symlink"}


def test_native_code_makes_a_wheel_for_this_platform(tmp_path):
    folder = make_component(tmp_path, capabilities={"native": True})
    (folder / "fast.so").write_bytes(b"\x7fELF")
    contents = inspect_wheel(build_wheel(folder, namespace="streaming", out=tmp_path))
    assert f"-cp{sys.version_info.major}{sys.version_info.minor}-" in contents.filename


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("import nothing_of_that_name\n", "cannot be imported: ModuleNotFoundError"),
        ("def (:\n", "cannot be imported: SyntaxError"),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit"),
        ("NumbersExtractor = int\n", "is not Extractor"),
    ],
)
def test_code_that_cannot_be_used(tmp_path, change, message):
    folder = make_component(tmp_path)
    (folder / "numbers.py").write_text(change)
    with pytest.raises(ConfigError, match=message):
        build_wheel(folder, namespace="streaming", out=tmp_path)


def test_no_readme(tmp_path):
    folder = make_component(tmp_path)
    (folder / "README.md").unlink()
    with pytest.raises(ConfigError, match=r"has no README\.md; write one"):
        build_wheel(folder, namespace="streaming", out=tmp_path)


def test_no_entry_point(tmp_path):
    folder = make_component(tmp_path, entry_point=None)
    with pytest.raises(ConfigError, match="entry_point: module:Class"):
        build_wheel(folder, namespace="streaming", out=tmp_path)


def test_a_component_without_code(tmp_path):
    folder = make_component(tmp_path, kind="transformer", form="declarative", entry_point=None)
    (folder / "numbers.py").unlink()
    (folder / "numbers.sql").write_text("select 1")
    contents = inspect_wheel(build_wheel(folder, namespace="streaming", out=tmp_path))
    assert contents.config_schema["properties"] == {}
    assert not any(file.path.endswith("for_dagster.py") for file in contents.files)


def test_a_file_where_the_folder_should_be(tmp_path):
    folder = make_component(tmp_path)
    (tmp_path / "out").write_text("")
    with pytest.raises(EnvironmentProblemError, match="cannot be written"):
        build_wheel(folder, namespace="streaming", out=tmp_path / "out")

"""Unpacking: what was built comes out again, whole or not at all."""

import importlib
import string
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.core.errors import EnvironmentProblemError
from dteg.packages import PackageError, build_wheel, inspect_wheel, unpack_wheel
from dteg.packages.archive import Archive
from tests.factories import make_component
from tests.unit.packages.archives import Item, Zip, items_of, tree

WORDS = st.text(string.ascii_letters + string.digits + "_-+", min_size=1, max_size=12).filter(
    lambda word: word.lower() not in {"con", "prn", "aux", "nul"} and word[:3].lower() not in {"com", "lpt"}
)
NAMES = st.builds(
    lambda folders, stem, suffix: "/".join([*folders, f"x{stem}{suffix}"]),
    st.lists(WORDS, max_size=3), WORDS, st.sampled_from([".csv", ".sql", ".json", ".txt", ".md"]),
)  # fmt: skip

# An end mark in a file is refused, see the corpus.
CONTENTS = st.binary(max_size=3_000).filter(lambda content: b"PK\x05\x06" not in content)


@pytest.mark.parametrize("target", ["new", "new/with/parents", "empty"])
def test_everything_comes_out(wheel, files, tmp_path, target):
    (tmp_path / "empty").mkdir()
    unpack_wheel(wheel, tmp_path / target)
    found = {
        path.relative_to(tmp_path / target).as_posix(): path.read_bytes()
        for path in (tmp_path / target).rglob("*")
        if path.is_file()
    }
    assert found == files
    assert {path.name for path in (tmp_path / target).parent.iterdir()} <= {"new", "empty", "with", "parents"}


def test_files_are_plain_files_that_others_can_read(wheel, tmp_path):
    unpack_wheel(wheel, tmp_path / "out")
    assert {path.stat().st_mode & 0o7133 for path in (tmp_path / "out").rglob("*") if path.is_file()} == {0}


def test_the_unpacked_copy_is_imported_under_its_package_name(wheel, tmp_path, monkeypatch):
    unpack_wheel(wheel, tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    module = importlib.import_module("dteg_components.streaming.numbers_extractor.numbers")
    assert module.NumbersExtractor.config_model.model_fields
    for name in [name for name in sys.modules if name.startswith("dteg_components")]:
        del sys.modules[name]


def test_a_folder_with_something_in_it_is_left_alone(wheel, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(EnvironmentProblemError, match="not an empty folder"):
        unpack_wheel(wheel, tmp_path / "out")
    assert tree(tmp_path) == before


def test_a_link_is_not_followed(wheel, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(EnvironmentProblemError, match="not an empty folder"):
        unpack_wheel(wheel, tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_full_disk_leaves_nothing(wheel, tmp_path, monkeypatch):
    real, written = Path.mkdir, []

    def full(self, *args, **kwargs):
        written.append(self)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(EnvironmentProblemError, match="No space left"):
        unpack_wheel(wheel, tmp_path / "out")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there(tmp_path):
    for act in (inspect_wheel, lambda path: unpack_wheel(path, tmp_path / "out")):
        with pytest.raises(PackageError) as refused:
            act(tmp_path / "absent.whl")
        assert refused.value.codes == {"unreadable"}


def test_the_name_of_a_wheel_must_fit_its_contents(wheel, tmp_path):
    renamed = tmp_path / "dteg_streaming_numbers_extractor-9.0.0-py3-none-any.whl"
    renamed.write_bytes(wheel.read_bytes())
    with pytest.raises(PackageError) as refused:
        inspect_wheel(renamed)
    assert refused.value.codes == {"filename"}


def test_deflated_archives_are_read_too(wheel, files, tmp_path):
    packed = Zip(items_of(files, method=8)).build()
    (tmp_path / "upload").write_bytes(packed)
    contents, original = inspect_wheel(tmp_path / "upload"), inspect_wheel(wheel)
    assert (contents.files, contents.manifest, contents.filename) == (
        original.files,
        original.manifest,
        original.filename,
    )


def test_archives_of_the_standard_library_are_read(files, tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "upload", "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        assert inspect_wheel(tmp_path / "upload").manifest.name == "numbers"


def test_all_problems_are_told_at_once_with_their_entries(files, tmp_path):
    bad = [Item("../a.py"), Item("/b.py"), Item("c d.py")]
    (tmp_path / "upload").write_bytes(Zip([*items_of(files), *bad]).build())
    with pytest.raises(PackageError) as refused:
        inspect_wheel(tmp_path / "upload")
    assert [(each.entry, each.code) for each in refused.value.problems] == [
        ("../a.py", "parent-path"),
        ("/b.py", "absolute-path"),
        ("c d.py", "name-characters"),
    ]
    assert "../a.py: a path that leads out of its folder (..); use a path below" in str(refused.value)


def test_a_long_list_of_problems_is_cut(files, tmp_path):
    bad = [Item(f"../{number}.py") for number in range(70)]
    (tmp_path / "upload").write_bytes(Zip([*items_of(files), *bad]).build())
    with pytest.raises(PackageError) as refused:
        inspect_wheel(tmp_path / "upload")
    assert len(refused.value.problems) == 70
    assert str(refused.value).endswith("and 20 more")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=st.dictionaries(NAMES, CONTENTS, max_size=6))
def test_build_inspect_unpack_gives_back_what_was_put_in(tmp_path_factory, extra):
    folded = [name.lower() for name in extra]
    folders = {part for name in folded for part in name.split("/")[:-1]}
    if len(set(folded)) < len(folded) or folders & {name.rpartition("/")[2] for name in folded}:
        return  # clashes have tests of their own
    tmp_path = tmp_path_factory.mktemp("round")
    folder = make_component(tmp_path)
    for name, content in extra.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    wheel = build_wheel(folder, namespace="streaming", out=tmp_path)
    contents = inspect_wheel(wheel)
    unpack_wheel(wheel, tmp_path / "out")
    package = tmp_path / "out" / "dteg_components" / "streaming" / "numbers_extractor"
    assert {name: (package / name).read_bytes() for name in extra} == extra
    assert tree(tmp_path / "out") == {file.path: file.sha256 for file in contents.files}


@settings(max_examples=150, deadline=None)
@given(contents=st.lists(CONTENTS, min_size=1, max_size=5), method=st.sampled_from([0, 8]))
def test_what_is_packed_is_unpacked(contents, method):
    items = [Item(f"f{number}.txt", content, method=method) for number, content in enumerate(contents)]
    archive = Archive.parse(Zip(items).build())
    assert [archive.read(entry) for entry in archive.entries] == contents


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_never_unnoticed(wheel, tmp_path_factory, data):
    """Flip bits anywhere: the wheel is refused, or what comes out is what was put in."""
    good = wheel.read_bytes()
    place = data.draw(st.integers(0, len(good) - 1) | st.integers(len(good) - 1_500, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("flip") / "upload"
    path.write_bytes(changed)
    try:
        files = inspect_wheel(path).files
    except PackageError:
        return
    assert files == inspect_wheel(wheel).files


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=300) | st.binary(max_size=200).map(lambda rest: rest + b"PK\x05\x06" + bytes(18))
)
def test_any_bytes_are_refused_without_a_crash(data):
    try:
        Archive.parse(data)
    except PackageError as error:
        assert error.problems  # noqa: PT017 - both ways are right

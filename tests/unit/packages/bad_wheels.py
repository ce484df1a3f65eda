"""Sound archives that are bad wheels of a component: files, manifest, METADATA, RECORD."""

from collections.abc import Callable, Iterator
from typing import Any

from dteg.packages import metadata
from tests.unit.packages.archives import Item, Zip, items_of
from tests.unit.packages.changes import (
    CODE,
    INFO,
    INIT,
    MANIFEST,
    PACKAGE,
    README,
    SCHEMA,
    Case,
    Files,
    wheel_with,
    zip_with,
)


def bad_wheels() -> Iterator[Case]:
    """Yield all of them."""
    yield from _wheels()
    yield from _manifests()
    yield from _metadata()
    yield from _records()


def _add(name: str, content: bytes = b"x\n") -> Callable[[Files], bytes]:
    return wheel_with(lambda files: files.update({name: content}))


def _wheels() -> Iterator[Case]:
    outside = [
        "x.py", "sitecustomize.py", "usercustomize.py", "dteg/__init__.py", "dteg_components/__init__.py",
        "dteg_components/streaming/__init__.py", "dteg_components/streaming/numbers_extractor.py",
        "dteg_components/streaming/other_extractor/x.py", "dteg_components/dteg/files_extractor/files.py",
        "dteg_components/streaming/numbers_extractor_x/x.py", "components/x.py", "pip/__init__.py",
        "registry/x.py", "numbers.egg-info/PKG-INFO", "__pycache__/x.txt",
    ]  # fmt: skip
    for name in outside:
        yield f"file at {name}", "outside-package", _add(name)
    for name in ("x.pth", f"{PACKAGE}/x.pth", "distutils-precedence.pth", f"{INFO}/x.pth"):
        yield f"path file {name}", "pth-file", _add(name, b"import os\n")
    for name in ("scripts/run", "purelib/x.py", "platlib/x.py", "data/etc/x.cfg", "headers/x.txt"):
        yield f".data/{name}", "data-folder", _add(f"dteg_streaming_numbers_extractor-1.0.0.data/{name}")
    for name in ("entry_points.json", "direct_url.json", "INSTALLER", "REQUESTED", "RECORD.jws", "RECORD.p7s", "sboms/x.json",
                 "top_level.txt", "licenses/LICENSE"):  # fmt: skip
        yield f"dist-info/{name}", "info-file", _add(f"{INFO}/{name}")
    for name in (
        "fast.so",
        "fast.pyd",
        "fast.dylib",
        "fast.dll",
        "libx.so.1",
        "fast.cpython-311-x86_64-linux-gnu.so",
    ):
        yield f"compiled {name}", "native", _add(f"{PACKAGE}/{name}", b"\x7fELF")
    for name in ("x.pyc", "x.pyo", "x.exe", "x.sh", "x.bat", "x.ps1", "x.js", "x.jar", "x.zip", "x.whl", "x.tar.gz", "x.pkl",
                 "x.pickle", "x.db", "x.bin", "x.ipynb", "x.c", "x.pyx", "Makefile", "run", "x.PY", "x.h5"):  # fmt: skip
        yield f"file kind {name}", "file-kind", _add(f"{PACKAGE}/{name}")
    for name in (
        README,
        MANIFEST,
        SCHEMA,
        INIT,
        CODE,
        f"{INFO}/METADATA",
        f"{INFO}/WHEEL",
        f"{INFO}/entry_points.txt",
    ):
        yield f"without {name}", "missing-file", wheel_with(lambda files, name=name: files.pop(name))
    yield "without RECORD", "missing-file", zip_with(lambda items: items.pop())
    yield (
        "without the manifest in dist-info",
        "dist-info",
        wheel_with(lambda files: files.pop(f"{INFO}/dteg.yaml")),
    )
    yield "without dist-info", "dist-info", zip_with(_only_package)
    second = "other-1.0.0.dist-info/METADATA"
    yield "two dist-info folders", "dist-info", _add(second)
    for name in ("dteg_streaming_numbers_extractor-1.0.1.dist-info", "Dteg_streaming_numbers_extractor-1.0.0.dist-info",
                 "numbers-1.0.0.dist-info", "dteg-streaming-numbers-extractor-1.0.0.dist-info"):  # fmt: skip
        yield (
            f"dist-info called {name}",
            "dist-info",
            wheel_with(lambda files, name=name: _rename_info(files, name)),
        )
    for content in (
        b"",
        b"[]",
        b"{",
        b"null",
        b'{"type": "array"}',
        b"[" * 100_000,
        b'{"a": 1}',
        b'"x"',
        b"\xff",
    ):
        yield f"schema {content[:20]!r}", "config-schema", _add(SCHEMA, content)
    yield (
        "schema of 600 KB",
        "config-schema",
        _add(SCHEMA, b'{"type": "object", "x": "' + b"x" * 600_000 + b'"}'),
    )
    yield "README that is not UTF-8", "encoding", _add(README, b"\xff")


def _only_package(items: list[Item]) -> None:
    items[:] = [item for item in items if str(item.name).startswith(PACKAGE)]


def _rename_info(files: Files, name: str) -> None:
    for old in [each for each in files if each.startswith(INFO)]:
        files[old.replace(INFO, name)] = files.pop(old)


def _with_manifest(text: bytes) -> Callable[[Files], bytes]:
    return wheel_with(lambda files: files.update({MANIFEST: text, f"{INFO}/dteg.yaml": text}))


def _edited(old: bytes, new: bytes) -> Callable[[Files], bytes]:
    def make(files: Files) -> bytes:
        assert old in files[MANIFEST], (old, files[MANIFEST])
        return _with_manifest(files[MANIFEST].replace(old, new))(files)

    return make


# Each is in a manifest that is good otherwise, so that only the trick can be the reason.
YAML_TRICKS: dict[str, tuple[bytes, bytes]] = {
    "an anchor": (b"author: dteg tests", b"author: &x dteg tests"),
    "an alias": (b"author: dteg tests", b"homepage: &x ''\nauthor: *x"),
    "an anchor at a key": (b"author: dteg tests", b"&x author: dteg tests"),
    "an alias as a key": (b"author: dteg tests", b"*x : dteg tests\nauthor: me"),
    "a merge key": (b"author: dteg tests", b"<<: {author: me}"),
    "a tag": (b"author: dteg tests", b"author: !!python/object/apply:os.system [id]"),
    "a tag of its own": (b"author: dteg tests", b"author: !env HOME"),
    "a tag at a key": (b"author: dteg tests", b"!!python/name:os.system author: me"),
    "a binary value": (b"author: dteg tests", b"author: !!binary bWU="),
    "a mapping as a key": (b"author: dteg tests", b"author: me\n? {a: b}\n: c"),
    "a second document": (b"author: dteg tests", b"author: dteg tests\n---\nauthor: me"),
    "a key twice": (b"author: dteg tests", b"author: dteg tests\nauthor: me"),
    "1 MB of comment": (b"author: dteg tests", b"author: dteg tests\n# " + b"x" * 1_000_000),
    "a NUL": (b"author: dteg tests", b"author: dteg\x00tests"),
    "40 levels": (b"tags: []", b"tags: " + b"[" * 40 + b"]" * 40),
    "20000 levels": (b"tags: []", b"tags: " + b"[" * 20_000 + b"]" * 20_000),
    "a number of 41 digits": (
        b"author: dteg tests",
        b"author: dteg tests\nresources: {memory_mb: " + b"1" * 41 + b"}",
    ),
}


def _manifests() -> Iterator[Case]:
    for what, text in {"empty": b"", "a list": b"- a\n", "not YAML": b"a: [", "a text": b"text"}.items():
        yield f"manifest is {what}", "manifest", _with_manifest(text)
    for what, (old, new) in YAML_TRICKS.items():
        yield f"manifest with {what}", "manifest", _edited(old, new)
    yield "manifest is not UTF-8", "encoding", _with_manifest(b"name: \xff\n")
    edits: dict[str, tuple[bytes, bytes]] = {
        "unknown key": (b"kind: extractor", b"kind: extractor\nsetup: x"),
        "no name": (b"name: numbers", b""),
        "name with a slash": (b"name: numbers", b"name: ../numbers"),
        "version with four numbers": (b"version: 1.0.0", b"version: 1.0.0.0"),
        "version of semver only": (b"version: 1.0.0", b"version: 1.0.0-rc.1"),
        "version of PEP 440 only": (b"version: 1.0.0", b"version: 1.0.0.post1"),
        "version with an epoch": (b"version: 1.0.0", b"version: 1!1.0.0"),
        "version with a local part": (b"version: 1.0.0", b"version: 1.0.0+x"),
        "other kind": (b"kind: extractor", b"kind: virus"),
        "future format": (b"kind: extractor", b"kind: extractor\nmanifest_version: 2"),
        "entry point with dots": (b"entry_point: numbers:", b"entry_point: os.path:"),
        "requirement with an address": (
            b"dependencies: []",
            b'dependencies: ["x @ https://x.invalid/x.whl"]',
        ),
        "no namespace": (b"namespace: streaming", b"namespace: ''"),
        "namespace with a hyphen": (b"namespace: streaming", b"namespace: stream-ing"),
    }
    for what, (old, new) in edits.items():
        code = "manifest" if what != "no namespace" else "dist-info"
        yield f"manifest: {what}", code, _edited(old, new)
    yield "manifest: another version", "dist-info", _edited(b"version: 1.0.0", b"version: 1.0.1")
    yield "manifest: another namespace", "dist-info", _edited(b"namespace: streaming", b"namespace: dteg")
    yield "manifest: no entry point", "manifest", _edited(b"entry_point: numbers:NumbersExtractor", b"")
    yield (
        "manifest: module that is not there",
        "missing-file",
        _edited(b"entry_point: numbers:", b"entry_point: other:"),
    )
    yield "manifest: licence", "licence", _edited(b"licence: Apache-2.0", b"licence: do what you want")
    for bad in (b"x>=1.*", b"x~=1", b'x; python == "3"', b'x; nonsense == "3"'):
        yield (
            f"manifest: requirement {bad!r}",
            "requirement",
            _edited(b"dependencies: []", b"dependencies: ['" + bad + b"']"),
        )
    yield (
        "manifest: framework_versions",
        "requirement",
        _edited(b"framework_versions: '>=0.1,<1'", b"framework_versions: '~=1'"),
    )
    yield (
        "manifest: data only, with code",
        "code-in-data",
        _edited(b"kind: extractor", b"kind: extractor\nform: declarative"),
    )
    yield (
        "manifest: template, with code",
        "code-in-data",
        _edited(b"kind: extractor", b"kind: extractor\nform: template"),
    )
    yield (
        "manifest: the copies differ",
        "manifest-copy",
        wheel_with(lambda files: files.update({MANIFEST: files[MANIFEST] + b"# more\n"})),
    )


def _replaced(name: str, old: bytes, new: bytes) -> Callable[[Files], bytes]:
    def make(files: Files) -> bytes:
        assert old in files[name], (old, files[name])
        return wheel_with(lambda copy: copy.update({name: files[name].replace(old, new, 1)}))(files)

    return make


def _metadata() -> Iterator[Case]:
    meta, wheel, entry = f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/entry_points.txt"
    first = b"Metadata-Version: 2.4\n"
    for what, code, old, new in [
        ("another name", "metadata-name", b"numbers-extractor", b"other-extractor"),
        ("a name that pip would fold", "metadata-name", b"dteg-streaming-numbers", b"Dteg_streaming_numbers"),
        ("no name", "metadata-name", b"Name: dteg-streaming-numbers-extractor\n", b""),
        ("another version", "metadata-version", b"Version: 1.0.0", b"Version: 1.0.1"),
        ("a version pip takes for the same", "metadata-version", b"Version: 1.0.0", b"Version: 1.0"),
        ("another Python", "metadata-requires-python", b"Requires-Python: >=3.11", b"Requires-Python: >=3.8"),
        ("no Python", "metadata-requires-python", b"Requires-Python: >=3.11\n", b""),
        ("a hidden requirement", "metadata-requires-dist", first, first + b"Requires-Dist: evil\n"),
        (
            "a requirement from an address",
            "metadata-requires-dist",
            first,
            first + b"Requires-Dist: x @ https://x.invalid\n",
        ),
        (
            "a requirement for some",
            "metadata-requires-dist",
            first,
            first + b"Requires-Dist: evil; extra == 'x'\n",
        ),
        ("any dteg", "metadata-requires-dist", b"Requires-Dist: dteg>=0.1,<1", b"Requires-Dist: dteg"),
        ("no dteg", "metadata-requires-dist", b"Requires-Dist: dteg>=0.1,<1\n", b""),
        ("extras", "metadata-field", first, first + b"Provides-Extra: x\n"),
        ("another project's name", "metadata-field", first, first + b"Provides-Dist: dteg\n"),
        ("takes the place of another", "metadata-field", first, first + b"Obsoletes-Dist: dteg\n"),
        ("an unknown field", "metadata-field", first, first + b"X-Run: rm\n"),
        ("dynamic fields", "metadata-field", first, first + b"Dynamic: Requires-Dist\n"),
        ("two names", "metadata-field", first, first + b"Name: other\n"),
        ("another description", "metadata-description", b"## Overview", b"## Look at that"),
    ]:
        yield f"METADATA: {what}", code, _replaced(meta, old, new)
    for what, code, old, new in [
        ("version 2", "wheel-version", b"Wheel-Version: 1.0", b"Wheel-Version: 2.0"),
        ("no version", "wheel-version", b"Wheel-Version: 1.0\n", b""),
        ("not pure", "wheel-purelib", b"Root-Is-Purelib: true", b"Root-Is-Purelib: false"),
        ("another tag", "wheel-tag", b"py3-none-any", b"cp311-cp311-linux_x86_64"),
        ("no tag", "wheel-tag", b"Tag: py3-none-any\n", b""),
        ("two tags", "wheel-tag", b"Tag: py3-none-any\n", b"Tag: py3-none-any\nTag: py2-none-any\n"),
        ("a tag that leads out", "wheel-tag", b"py3-none-any", b"../../x"),
    ]:
        yield f"WHEEL: {what}", code, _replaced(wheel, old, new)
    console = b"\n[console_scripts]\npip = dteg_components.streaming.numbers_extractor:x\n"
    gui = console.replace(b"console", b"gui")
    for what, code, content in [
        ("a program", "scripts", b"%b" + console), ("a program with a window", "scripts", b"%b" + gui),
        ("a plugin of pytest", "entry-points", b"%b\n[pytest11]\nx = os\n"), ("nothing", "entry-points", b""),
        ("not readable", "entry-points", b"x"), ("a group twice", "entry-points", b"%b%b"),
        ("another component", "entry-points", b"[dteg.components]\ndteg.files-extractor = os\n"),
        ("not UTF-8", "entry-points", b"\xff"), ("defaults", "entry-points", b"[DEFAULT]\nx = y\n%b"),
    ]:  # fmt: skip
        yield (
            f"entry points: {what}",
            code,
            wheel_with(
                lambda files, content=content: files.update({entry: content.replace(b"%b", files[entry])})
            ),
        )
    other = {entry: b"[dteg.components]\nstreaming.numbers-extractor = os\n"}
    yield "entry points: another package", "entry-points", wheel_with(lambda files: files.update(other))


def _records() -> Iterator[Case]:
    name = f"{INFO}/RECORD"

    def edit(change: Callable[[list[bytes]], Any]) -> Callable[[Files], bytes]:
        def make(files: Files) -> bytes:
            lines = files[name].splitlines(keepends=True)
            change(lines)
            return Zip(items_of({**files, name: b"".join(lines)})).build()

        return make

    yield "RECORD: a file left out", "record-missing", edit(lambda lines: lines.pop(0))
    yield "RECORD: itself left out", "record-missing", edit(lambda lines: lines.pop())
    yield "RECORD: empty", "record-missing", edit(lambda lines: lines.clear())
    yield "RECORD: a file too many", "record-extra", edit(lambda lines: lines.append(b"x.py,,\n"))
    yield (
        "RECORD: a path that leads out",
        "record-extra",
        edit(lambda lines: lines.append(b"../../bin/x,,\n")),
    )
    yield "RECORD: an absolute path", "record-extra", edit(lambda lines: lines.append(b"/etc/passwd,,\n"))
    yield "RECORD: a line twice", "record-twice", edit(lambda lines: lines.append(lines[0]))
    yield "RECORD: two columns", "record", edit(lambda lines: lines.append(b"x,y\n"))
    yield "RECORD: an open quote", "record", edit(lambda lines: lines.append(b'"x,y,z\n'))
    yield "RECORD: not UTF-8", "record", edit(lambda lines: lines.append(b"\xff,,\n"))
    wrong = metadata.record_hash(b"other").encode()
    for what, row in {
        "without hash": b"%b,,\n", "with another hash": b"%b,sha256=" + wrong + b",1\n",
        "with md5": b"%b,md5=AAAAAAAAAAAAAAAAAAAAAA,1\n", "with padding": b"%b,sha256=" + wrong + b"=,1\n",
    }.items():  # fmt: skip
        yield (
            f"RECORD: a line {what}",
            "record-hash",
            edit(lambda lines, row=row: lines.__setitem__(0, row.replace(b"%b", lines[0].split(b",")[0]))),
        )
    yield (
        "RECORD: another size",
        "record-hash",
        edit(lambda lines: lines.__setitem__(0, lines[0].rpartition(b",")[0] + b",7\n")),
    )
    yield (
        "RECORD: a hash of its own",
        "record-hash",
        edit(lambda lines: lines.__setitem__(-1, f"{name},sha256={wrong.decode()},1\n".encode())),
    )
    for victim in (CODE, README, f"{PACKAGE}/test_numbers.py", f"{INFO}/METADATA"):
        yield (
            f"changed after it was built: {victim}",
            "record-hash",
            (lambda files, victim=victim: Zip(items_of({**files, victim: files[victim] + b"\n"})).build()),
        )

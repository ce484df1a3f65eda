"""Installing from a mirror: what is verified, what is written down, and that a refusal changes nothing."""

import http.server
import json
import os
import subprocess
import threading
import tomllib
from functools import partial

import pytest

from dteg.signing import digest

COMPONENT = "streaming/numbers-extractor"


def index_of(url):
    from pathlib import Path

    return Path(url.removeprefix("file://"))


def part_of(url, component=COMPONENT):
    path = index_of(url) / "components" / f"{component}.json"
    return path, json.loads(path.read_text())


def test_an_installed_component_is_found_by_pipelines(scratch, market, wheels, mirror):
    release = market.publish(wheels(capabilities={"network": True}))
    done = scratch.run("install", "marketplace://numbers@^1.0", "--registry", mirror())
    assert "streaming/numbers-extractor 1.0.0, attested" in done.out
    found = scratch.python_says(
        "from dteg.connectors.discovery import discover, find;"
        "print(find('extractor', 'dteg://streaming/numbers', discover()).package)"
    )
    assert found == "dteg_components.streaming.numbers_extractor"
    lock = tomllib.loads(scratch.lock.read_text())
    signature, attestation = map(digest, market.attestations(release))
    assert lock["component"] == [
        {
            "id": COMPONENT, "range": "^1.0", "version": "1.0.0", "filename": release.filename,
            "sha256": release.sha256, "size": release.size, "trust": "attested",
            "key_id": market.publisher.key_id, "registry_key_id": market.registry.key_id,
            "signature": signature, "attestation": attestation, "capabilities": ["network"],
        }
    ]  # fmt: skip
    assert lock["registry"] == market.origin
    assert json.loads(scratch.run("list", "--json").out)[0]["state"] == "installed"


def test_a_dry_run_changes_nothing(scratch, market, wheels, mirror):
    market.publish(wheels())
    before = scratch.files()
    done = scratch.run("install", "numbers", "--dry-run", "--registry", mirror())
    assert "nothing was changed" in done.out
    assert scratch.files() == before
    assert not scratch.lock.exists()


def test_json_says_what_was_done(scratch, market, wheels, mirror):
    market.publish(wheels())
    said = json.loads(scratch.run("install", "numbers", "--json", "--registry", mirror()).out)
    assert said["installed"] == [f"{COMPONENT}@1.0.0"]
    assert said["components"][0]["proven"] is False


def test_a_tampered_file_is_refused(scratch, market, wheels, mirror):
    release = market.publish(wheels())
    url = mirror()
    wheel = index_of(url) / "files" / release.sha256 / release.filename
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    before = scratch.files()
    done = scratch.run("install", "numbers", "--registry", url, code=1)
    assert "tampered" in done.err
    assert release.sha256 in done.err
    assert scratch.files() == before
    assert not scratch.lock.exists()


def test_a_file_exchanged_together_with_its_hash_is_refused(scratch, market, wheels, mirror):
    release = market.publish(wheels())
    url = mirror()
    other = wheels(name="numbers", author="somebody else")
    data = other.read_bytes()
    import hashlib

    sha256 = hashlib.sha256(data).hexdigest()
    assert sha256 != release.sha256
    path, part = part_of(url)
    part["releases"][0] |= {"sha256": sha256, "size": len(data)}
    part["releases"][0]["manifest"]["author"] = "somebody else"
    path.write_text(json.dumps(part))
    place = index_of(url) / "files" / sha256 / release.filename
    place.parent.mkdir()
    place.write_bytes(data)
    done = scratch.run("install", "numbers", "--registry", url, code=1)
    assert "the signature is for a file with SHA-256" in done.err
    assert scratch.version() is None


def test_a_manifest_that_differs_from_the_one_shown_is_refused(scratch, market, wheels, mirror):
    """The registry must not show other capabilities than the file has."""
    market.publish(wheels(capabilities={"network": True}))
    url = mirror()
    path, part = part_of(url)
    part["releases"][0]["manifest"]["capabilities"]["network"] = False
    path.write_text(json.dumps(part))
    done = scratch.run("install", "numbers", "--registry", url, code=1)
    assert "not the one that the registry shows" in done.err


@pytest.mark.parametrize(
    ("release", "loss"),
    [
        ({"attested": False}, "the registry's proof of its gates is missing; 1.0.0 had it"),
        ({"signed": False}, "the publisher's signature is missing; 1.0.0 had it"),
    ],
)
def test_weaker_trust_is_refused_until_accepted(scratch, market, wheels, mirror, release, loss):  # noqa: PLR0917 - fixtures
    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    market.publish(wheels(version="1.1.0"), **release)
    url = mirror()
    done = scratch.run("update", "--registry", url, code=1)
    assert loss in done.err
    assert "--accept-downgrade" in done.err
    assert scratch.version() == "1.0.0"
    dry = scratch.run("update", "--dry-run", "--registry", url)
    assert f"trusted less: {loss}" in dry.out
    scratch.run("update", "--accept-downgrade", "--registry", url)
    assert scratch.version() == "1.1.0"


def test_a_new_capability_is_refused_until_accepted(scratch, market, wheels, mirror):
    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    market.publish(wheels(version="1.1.0", capabilities={"subprocess": True}))
    url = mirror()
    done = scratch.run("update", "--registry", url, code=1)
    assert "wants the capability subprocess, which 1.0.0 did not" in done.err
    assert scratch.version() == "1.0.0"


def test_another_publisher_key_is_refused_until_accepted(scratch, market, wheels, mirror):
    from dteg.signing import SigningKey

    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    first = market.publisher.key_id
    market.publisher = SigningKey.generate()
    market.publish(wheels(version="1.1.0"))
    url = mirror()
    done = scratch.run("update", "--registry", url, code=1)
    assert f"signs with another key ({market.publisher.key_id[:16]}; known: {first[:16]})" in done.err
    assert scratch.version() == "1.0.0"
    scratch.run("update", "--accept-downgrade", "--registry", url)
    scratch.run("install", "--registry", url)
    assert scratch.version() == "1.1.0"


def test_keys_are_remembered_beyond_one_project(scratch, market, wheels, mirror):
    """A taken-over registry cannot show another key for a second component of a known publisher."""
    from dteg.signing import SigningKey

    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    scratch.lock.unlink()
    market.publisher = SigningKey.generate()
    market.publish(wheels(name="letters"))
    done = scratch.run("install", "letters", "--registry", mirror("streaming/letters-extractor"), code=1)
    assert "signs with another key" in done.err


def test_an_incompatible_version_is_refused_with_its_reason(scratch, market, wheels, mirror):
    market.publish(wheels(framework_versions=">=9"))
    done = scratch.run("install", "numbers", "--registry", mirror(), code=1)
    assert "1.0.0: needs dteg >=9, this is" in done.err


def test_a_yanked_release_is_refused_but_stays_for_those_who_locked_it(scratch, market, wheels, mirror):
    release = market.publish(wheels())
    url = mirror()
    scratch.run("install", "numbers", "--registry", url)
    market.change(release, state="yanked", reason="loses the last row")
    url = mirror()
    scratch.run("uninstall", "numbers")
    done = scratch.run("install", "numbers@1.0.0", "--registry", url, code=1)
    assert "1.0.0: yanked: loses the last row" in done.err


def test_locked_installs_exactly_the_lock(scratch, market, wheels, mirror, package):
    package("leftpad", "1.0")
    release = market.publish(wheels(dependencies=["leftpad>=1"]))
    url = mirror()
    scratch.run("install", "numbers", "--registry", url)
    lock = scratch.lock.read_text()
    package("leftpad", "2.0")
    market.publish(wheels(version="1.1.0"))
    market.change(release, state="yanked", reason="old")
    url = mirror()
    subprocess.run(["rm", "-rf", *scratch.site.glob("dteg_*"), *scratch.site.glob("leftpad*")], check=True)
    done = scratch.run("install", "--locked", "--registry", url)
    assert "note: 1.0.0 was yanked: old" in done.out
    assert scratch.version() == "1.0.0"
    assert scratch.python_says("import leftpad; print(leftpad.version)") == "1.0"
    assert scratch.lock.read_text() == lock


def test_locked_refuses_another_hash(scratch, market, wheels, mirror):
    release = market.publish(wheels())
    url = mirror()
    scratch.run("install", "numbers", "--registry", url)
    scratch.lock.write_text(scratch.lock.read_text().replace(release.sha256, "ab" * 32))
    before = scratch.files()
    done = scratch.run("install", "--locked", "--registry", url, code=1)
    assert "was tampered with: dteg.lock names a file with SHA-256 abab" in done.err
    assert scratch.files() == before


def test_locked_refuses_another_dependency_file(scratch, market, wheels, mirror, package):
    package("leftpad", "1.0")
    market.publish(wheels(dependencies=["leftpad"]))
    url = mirror()
    scratch.run("install", "numbers", "--registry", url)
    scratch.run("uninstall", "numbers")
    scratch.run("install", "numbers", "--registry", url)
    hashes = tomllib.loads(scratch.lock.read_text())["dependency"][0]["hashes"]
    scratch.lock.write_text(scratch.lock.read_text().replace(hashes[0], "sha256:" + "cd" * 32))
    subprocess.run(["rm", "-rf", *scratch.site.glob("dteg_*"), *scratch.site.glob("leftpad*")], check=True)
    before = scratch.files()
    done = scratch.run("install", "--locked", "--registry", url, code=1)
    assert "ash" in done.err
    assert scratch.files() == before


def test_locked_refuses_what_pipelines_want_beyond_the_lock(scratch, market, wheels, mirror):
    market.publish(wheels())
    (scratch.project / "pipelines" / "p.yaml").write_text(
        "pipeline:\n  name: p\n  components:\n    marketplace:\n"
        "      - {name: numbers, version: ^1.0, source: dteg://streaming/numbers}\n"
        "  extract: {type: dteg://streaming/numbers}\n  load: {type: postgres}\n"
    )
    url = mirror()
    done = scratch.run("install", "--locked", "--registry", url, code=1)
    assert "dteg.lock lacks streaming/numbers" in done.err
    done = scratch.run("install", "--registry", url)
    assert scratch.version() == "1.0.0"
    assert 'range = "^1.0' in scratch.lock.read_text()
    scratch.run("install", "--locked", "--registry", url)


def test_two_components_whose_dependencies_exclude_each_other(scratch, market, wheels, mirror, package):
    package("leftpad", "1.0")
    package("leftpad", "2.0")
    market.publish(wheels(dependencies=["leftpad<2"]))
    market.publish(wheels(name="letters", dependencies=["leftpad>=2"]))
    url = mirror(COMPONENT, "streaming/letters-extractor")
    scratch.run("install", "numbers", "--registry", url)
    before, lock = scratch.files(), scratch.lock.read_text()
    done = scratch.run("install", "letters", "--registry", url, code=1)
    assert "streaming/letters-extractor 1.0.0 wants leftpad>=2" in done.err
    assert "streaming/numbers-extractor 1.0.0 wants leftpad<2" in done.err
    assert (scratch.files(), scratch.lock.read_text()) == (before, lock)


def test_a_dependency_that_would_break_an_installed_package_is_refused(scratch, market, wheels, mirror):
    market.publish(wheels(dependencies=["pydantic<2"]))
    before = scratch.files()
    done = scratch.run("install", "numbers", "--registry", mirror(), code=1)
    assert "streaming/numbers-extractor 1.0.0 wants pydantic<2" in done.err
    assert "dteg 0.1.0 wants pydantic>=2.12" in done.err
    assert scratch.files() == before


def test_a_dependency_that_is_nowhere_is_refused(scratch, market, wheels, mirror):
    market.publish(wheels(dependencies=["not-to-be-found>=3"]))
    done = scratch.run("install", "numbers", "--registry", mirror(), code=1)
    assert "the dependencies of streaming/numbers-extractor 1.0.0 cannot be had" in done.err
    assert scratch.version() is None


def test_a_component_is_never_taken_from_the_python_index(scratch, market, wheels, mirror, package):
    package("dteg-streaming-letters-extractor".replace("-", "_"), "1.0.0")
    market.publish(wheels(dependencies=["dteg-streaming-letters-extractor"]))
    done = scratch.run("install", "numbers", "--registry", mirror(), code=1)
    assert "never taken from the Python index" in done.err


def test_uninstall_takes_what_nobody_else_needs(scratch, market, wheels, mirror, package):
    package("leftpad", "1.0", ["rightpad"])
    package("rightpad", "1.0")
    package("midpad", "1.0")
    market.publish(wheels(dependencies=["leftpad", "midpad"]))
    market.publish(wheels(name="letters", dependencies=["midpad"]))
    url = mirror(COMPONENT, "streaming/letters-extractor")
    before = scratch.files()
    scratch.run("install", "numbers", "letters", "--registry", url)
    done = scratch.run("uninstall", "numbers")
    assert "removed streaming/numbers-extractor 1.0.0, and leftpad, rightpad" in done.out
    assert [each["name"] for each in tomllib.loads(scratch.lock.read_text())["dependency"]] == ["midpad"]
    assert scratch.python_says("import midpad; print(midpad.version)") == "1.0"
    scratch.run("uninstall", "letters")
    assert scratch.files() == before


def test_uninstall_refuses_while_a_pipeline_uses_it(scratch, market, wheels, mirror):
    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    (scratch.project / "pipelines" / "p.yaml").write_text(
        "pipeline:\n  name: p\n  steps:\n    - extract:\n        type: dteg://streaming/numbers\n"
        "    - load: {type: postgres}\n"
    )
    done = scratch.run("uninstall", "numbers", code=1)
    assert "pipelines/p.yaml:5: extractor dteg://streaming/numbers" in done.err
    assert scratch.version() == "1.0.0"
    scratch.run("uninstall", "numbers", "--force")
    assert scratch.version() is None


def test_update_shows_changelog_and_breaking_changes(scratch, market, wheels, mirror):
    market.publish(wheels())
    scratch.run("install", "numbers", "--registry", mirror())
    changelog = "# Changelog\n\n## 2.0.0\n- counts from one\n\n## 1.0.0\n- first\n"
    change = {"version": "2.0.0", "change": "counts from one: set start: 0"}
    market.publish(wheels(version="2.0.0", breaking_changes=[change]), changelog=changelog)
    url = mirror()
    done = scratch.run("update", "numbers", "--dry-run", "--registry", url)
    assert "streaming/numbers-extractor 1.0.0 -> 2.0.0" in done.out
    assert "breaking in 2.0.0: counts from one: set start: 0" in done.out
    assert "- counts from one" in done.out
    assert "- first" not in done.out
    assert scratch.version() == "1.0.0"
    scratch.run("update", "numbers", "--registry", url)
    assert scratch.version() == "2.0.0"


def test_update_stays_in_the_range_that_was_asked_for(scratch, market, wheels, mirror):
    market.publish(wheels())
    scratch.run("install", "numbers@~1.0", "--registry", mirror())
    market.publish(wheels(version="1.0.3"))
    market.publish(wheels(version="1.1.0"))
    scratch.run("update", "--registry", mirror())
    assert scratch.version() == "1.0.3"


def test_a_mirror_behind_a_plain_web_server_serves_dteg_and_pip(scratch, market, wheels, mirror):
    release = market.publish(wheels())
    folder = index_of(mirror())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        scratch.run("install", "numbers", "--registry", url)
        assert scratch.version() == "1.0.0"
        target = scratch.folder / "by-pip"
        environ = {k: v for k, v in scratch.environ.items() if not k.startswith(("PIP_", "UV_"))}
        subprocess.run(
            [str(scratch.python), "-m", "pip", "--isolated", "install", "--quiet", "--no-deps", "--target",
             str(target), "--index-url", f"{url}/simple", release.manifest.distribution],
            check=True, env=environ, capture_output=True,
        )  # fmt: skip
        assert (target / "dteg_components/streaming/numbers_extractor/dteg.yaml").is_file()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_without_uv_pip_does_the_same(scratch, market, wheels, mirror, package):
    package("leftpad", "1.0")
    market.publish(wheels(dependencies=["leftpad"]))
    url = mirror()
    path = os.pathsep.join(["/usr/bin", "/bin"])
    before = scratch.files()
    scratch.run("install", "numbers", "--registry", url, PATH=path)
    assert scratch.version() == "1.0.0"
    assert scratch.python_says("import leftpad; print(leftpad.version)") == "1.0"
    assert "sha256:" in scratch.lock.read_text()
    scratch.run("uninstall", "numbers", PATH=path)
    assert scratch.files() == before


def test_an_unknown_name_has_a_near_miss(scratch, market, wheels, mirror):
    market.publish(wheels())
    done = scratch.run("install", "numbres", "--registry", mirror(), code=1)
    assert 'did you mean "numbers"?' in done.err


def test_no_registry_is_told_with_its_address(scratch):
    done = scratch.run("install", "numbers", "--registry", "http://127.0.0.1:9", code=1)
    assert "the registry http://127.0.0.1:9 cannot be reached" in done.err


def test_no_code_of_a_component_runs_at_install(scratch, market, wheels, mirror, tmp_path):
    """Neither when it is read nor when it is put in place."""
    from tests.factories import make_component

    folder = make_component(tmp_path / "evil")
    flag = tmp_path / "ran"
    (code,) = [path for path in folder.glob("*.py") if not path.name.startswith("test_")]
    from dteg.packages import build_wheel

    text = code.read_text()
    guard = f"import os\nif os.environ.get('DTEG_CACHE_DIR'):\n    open({str(flag)!r}, 'w').close()\n"
    head, mark, tail = text.partition("\nfrom ")
    code.write_text(f"{head}\n{guard}{mark}{tail}")
    market.publish(build_wheel(folder, namespace="streaming", out=tmp_path))
    scratch.run("install", "numbers", "--registry", mirror())
    scratch.run("list")
    assert scratch.version() == "1.0.0"
    assert not flag.exists()
    scratch.python_says(
        "from dteg.connectors.discovery import discover, find;"
        "find('extractor', 'dteg://streaming/numbers', discover()).load()"
    )
    assert flag.exists(), "the trap does not work"

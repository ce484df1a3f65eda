"""The whole command line against a running registry: publish, search, install, rate, update, yank, mirror."""

import json
import threading
import time

import pytest

from registry.testing import PASSWORD, running_registry
from tests.factories import make_component
from tests.integration.registry.publishing import KnownProver, run_gates

COMPONENT = "streaming/numbers-extractor"


@pytest.fixture
def registry(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry") as running:
        yield running


@pytest.fixture
def worker(registry):
    """Run gates beside the registry; set `prover` for other answers."""

    class Worker:
        prover = KnownProver()
        ended = False

        def work(self):
            while not self.ended:
                run_gates(registry, self.prover)
                time.sleep(0.25)  # a test has few releases, and each look asks the database

    worker = Worker()
    thread = threading.Thread(target=worker.work, daemon=True)
    thread.start()
    yield worker
    worker.ended = True
    thread.join(30)


@pytest.fixture
def dteg(scratch, registry):
    """`dteg` with this registry, logged in as ann, who has a namespace and a key."""
    scratch.environ["DTEG_REGISTRY_URL"] = registry.url
    registry.make_account("ann")
    scratch.run("login", "--user", "ann", DTEG_REGISTRY_PASSWORD=PASSWORD)
    scratch.run("namespace", "create", "streaming")
    scratch.run("key", "create", "streaming")
    return scratch


@pytest.fixture
def component(dteg):
    """Write a component into the project, in a version and with other keys of its manifest."""

    def write(version="1.0.0", **manifest):
        says = "Counts from one number to another."
        folder = make_component(dteg.folder / "made", version=version, **{"description": says, **manifest})
        readme = folder / "README.md"  # the gates refuse the words of the factory
        readme.write_text(readme.read_text().replace("Made for one test by a factory", says.rstrip(".")))
        return folder

    return write


@pytest.mark.slow
def test_the_life_of_a_component(dteg, registry, worker, component, tmp_path):
    done = dteg.run("publish", component(), "--namespace", "streaming")
    for gate in ("structure", "security", "conformance", "documentation", "performance"):
        assert f"passed   {gate}" in done.out
    assert f"{COMPONENT}@1.0.0 is listed, score 90 of 100" in done.out

    wait_until_searched(registry)
    found = json.loads(dteg.run("search", "numbers", "--json").out)
    assert [each["id"] for each in found["items"]] == [COMPONENT]
    assert "1.0.0" in dteg.run("search", "numbers").out

    done = dteg.run("install", "marketplace://numbers")
    assert "attested" in done.out
    assert dteg.version() == "1.0.0"
    info = dteg.run("info", "numbers").out
    assert "1.0.0, attested, score 90 of 100" in info

    dteg.run("rate", "numbers", "5", code=1)  # its own publisher may not
    registry.make_account("bob")
    bob = {"DTEG_CONFIG_DIR": str(dteg.folder / "bob")}  # another person, with another installation
    dteg.run("login", "--user", "bob", DTEG_REGISTRY_PASSWORD=PASSWORD, **bob)
    dteg.run("uninstall", "numbers")
    dteg.run("install", "numbers", **bob)
    said = dteg.run("review", "numbers", "--stars", "4", "--text", "Counts well and says so", **bob)
    assert "4 of 5 stars" in said.out
    assert "4.0 from 1 reviews" in dteg.run("info", "numbers").out
    dteg.run("rate", "numbers", "3", **bob)
    (review,) = registry.request("GET", f"/components/{COMPONENT}/reviews").json()["items"]
    assert (review["stars"], review["text"]) == (3, "Counts well and says so")  # what was written stays

    done = dteg.run("yank", "numbers@1.0.0", "--reason", "not mine", code=1, **bob)
    assert "error:" in done.err
    dteg.run("publish", component("1.1.0"), "--namespace", "streaming")
    done = dteg.run("update", "--dry-run")
    assert f"{COMPONENT} 1.0.0 -> 1.1.0" in done.out
    dteg.run("update")
    assert dteg.version() == "1.1.0"

    dteg.run("yank", "numbers@1.1.0", "--reason", "loses a row")
    done = dteg.run("install", "numbers@1.1.0")  # locked already: stays
    assert "1.1.0 was yanked: loses a row" in done.out
    dteg.run("install", "--locked")
    dteg.run("uninstall", "numbers")
    done = dteg.run("install", "numbers@1.1.0", code=1)
    assert "1.1.0: yanked: loses a row" in done.err
    dteg.run("install", "numbers")
    assert dteg.version() == "1.0.0"
    dteg.run("yank", "numbers@1.1.0", "--undo")
    dteg.run("deprecate", "numbers", "--reason", "use letters instead")
    assert "DEPRECATED: use letters instead" in dteg.run("info", "numbers").out

    done = dteg.run("mirror", tmp_path / "mirror")
    assert "1 components, 2 releases" in done.out
    registry.run(registry.services.database.drop())
    dteg.run("uninstall", "numbers", DTEG_NO_RECEIPTS="1")
    dteg.run("install", "numbers", "--registry", (tmp_path / "mirror").as_uri())
    assert dteg.version() == "1.1.0"


def test_a_failing_gate_is_shown_with_its_place_and_the_way_out(dteg, worker, component):
    class Finds(KnownProver):
        def prove(self, wheel, gates, listener):
            from dteg.gates.report import Finding, GateResult

            finding = Finding(
                rule="B602", severity="high", message="a shell is started", file="numbers.py", line=12,
                remedy="pass a list of arguments",
            )  # fmt: skip
            told = []

            def tell(result):
                if result.gate == "security":
                    fields = {**result.model_dump(), "findings": [finding]}
                    result = GateResult.model_validate(fields)
                told.append(result)
                listener(result)

            report = super().prove(wheel, gates, tell)
            return report.model_copy(update={"results": told})

    worker.prover = Finds({"security": "failed"})
    done = dteg.run("publish", component(), "--namespace", "streaming", code=1)
    assert "failed   security" in done.out
    assert "numbers.py:12: a shell is started; pass a list of arguments [B602]" in done.out
    assert f"{COMPONENT}@1.0.0 is rejected" in done.out
    done = dteg.run("install", "numbers", code=1)
    assert "error:" in done.err


def test_wheel_and_signature_are_kept_for_the_upload_page(dteg, registry, worker, component, tmp_path):
    done = dteg.run("publish", component(), "--namespace", "streaming", "--out", tmp_path / "dist")
    assert "nothing was sent" in done.out
    wheel, signature = sorted((tmp_path / "dist").iterdir(), key=lambda path: path.suffix, reverse=True)
    answer = registry.request(
        "POST", "/releases", files={"wheel": (wheel.name, wheel.read_bytes())}, data={"signature": signature.read_text()},
        token=registry.token_of("ann"),
    )  # fmt: skip
    assert answer.status_code == 202, answer.text


def test_one_version_is_published_once(dteg, worker, component):
    folder = component()
    dteg.run("publish", folder, "--namespace", "streaming")
    done = dteg.run("publish", folder, "--namespace", "streaming", code=1)
    assert "give it a new version" in done.err


def test_a_key_that_the_registry_does_not_know_is_refused(dteg, worker, component):
    from dteg.signing import SigningKey

    other = dteg.folder / "other.pem"
    SigningKey.generate().save(other)
    done = dteg.run("publish", component(), "--namespace", "streaming", code=1, DTEG_SIGNING_KEY=str(other))
    assert "not a key that is trusted here" in done.err


def test_who_is_not_logged_in_learns_the_command(dteg, component, worker):
    dteg.run("logout")
    done = dteg.run("publish", component(), "--namespace", "streaming", code=1)
    assert "dteg login" in done.err
    assert "not logged in" in dteg.run("logout").out


def test_a_wrong_password_is_refused_and_nothing_is_kept(scratch, registry):
    registry.make_account("ann")
    scratch.environ["DTEG_REGISTRY_URL"] = registry.url
    done = scratch.run("login", "--user", "ann", code=1, DTEG_REGISTRY_PASSWORD="wrong one, surely")
    assert "wrong one" not in done.text
    assert not (scratch.config / "credentials.json").exists()


def test_tokens_have_limits_and_an_end(dteg, worker, component):
    done = dteg.run("token", "create", "ci", "--scope", "read", "--json")
    made = json.loads(done.out)
    assert made["id"] in dteg.run("token", "list").out
    refused = dteg.run(
        "publish", component(), "--namespace", "streaming", code=1, DTEG_REGISTRY_TOKEN=made["token"]
    )
    assert "lacks the scope" in refused.err
    dteg.run("token", "revoke", made["id"])
    refused = dteg.run("token", "list", code=1, DTEG_REGISTRY_TOKEN=made["token"])
    assert refused.err == "error: wrong, expired or revoked credentials: log in again (dteg login)\n"


def test_members_and_keys_of_a_namespace(dteg, registry):
    registry.make_account("bob")
    assert "bob" in dteg.run("namespace", "members", "streaming", "--add", "bob", "--role", "reader").out
    assert "bob" not in dteg.run("namespace", "members", "streaming", "--remove", "bob").out
    (key,) = json.loads(dteg.run("namespace", "keys", "streaming", "--json").out)
    (kept,) = json.loads(dteg.run("key", "list", "--json").out)
    assert key["key_id"] == kept["key_id"]
    dteg.run("key", "revoke", "streaming", key["key_id"][:16])
    (key,) = json.loads(dteg.run("namespace", "keys", "streaming", "--json").out)
    assert key["to_at"]


def test_receipts_are_sent_unless_they_are_not_wanted(dteg, registry, worker, component):
    dteg.run("publish", component(), "--namespace", "streaming")
    wait_until_searched(registry)
    dteg.run("install", "numbers", DTEG_NO_RECEIPTS="1")
    assert installs(registry) == 0
    dteg.run("uninstall", "numbers", DTEG_NO_RECEIPTS="1")
    dteg.run("install", "numbers")
    assert installs(registry) == 1
    key = (dteg.config / "install.pem").read_text()
    dteg.run("uninstall", "numbers")
    dteg.run("install", "numbers")
    assert installs(registry) == 1, "one installation is one, whatever it does"
    assert (dteg.config / "install.pem").read_text() == key


def wait_until_searched(registry):
    """Wait for what the worker writes just after the verdict, and let the search take it over."""
    for _ in range(3000):
        registry.run(registry.services.search.refresh())
        if registry.services.search.size:
            return
        time.sleep(0.02)
    pytest.fail("the search does not know the component 60 seconds after its verdict")


def installs(registry):
    return registry.request("GET", f"/components/{COMPONENT}/downloads").json()["installs"]


def test_a_file_that_was_changed_in_the_registry_is_refused(dteg, registry, worker, component):
    dteg.run("publish", component(), "--namespace", "streaming")
    wait_until_searched(registry)
    release = registry.request("GET", f"/components/{COMPONENT}/releases/1.0.0").json()
    path = registry.run(_blob(registry, release["sha256"]))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    done = dteg.run("install", "numbers", code=1)
    assert "damaged" in done.err  # by the registry itself, or by us if it sent it
    assert dteg.version() is None


async def _blob(registry, sha256):
    import inspect

    found = registry.services.blobs.path(sha256)
    return await found if inspect.isawaitable(found) else found

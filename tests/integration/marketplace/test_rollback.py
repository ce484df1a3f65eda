"""A change of the environment is whole or undone: after an error, and after a kill at any moment."""

import os
import random
import signal
import subprocess
import time

import pytest

from dteg.core.clock import utc_now
from dteg.core.project import Project
from dteg.marketplace.environment import Installer, InstallerError
from dteg.marketplace.install import apply
from dteg.marketplace.plan import Options, Planner
from dteg.marketplace.references import parse_reference
from dteg.marketplace.source import open_source
from dteg.marketplace.transaction import is_unfinished, locked, recover

COMPONENT = "streaming/numbers-extractor"


class FailsAtTheEnd(Installer):
    """Does everything and then says that it failed."""

    def install_wheels(self, wheels, *, hold=None):
        super().install_wheels(wheels, hold=hold)
        raise InstallerError("the disk is on fire")


class WritesOtherBytes(Installer):
    """Puts another file in place than the one that was verified."""

    def install_wheels(self, wheels, *, hold=None):
        super().install_wheels(wheels, hold=hold)
        path = self.environment.site / "dteg_components/streaming/numbers_extractor/dteg.yaml"
        path.unlink()
        path.write_text("name: evil\n")


def install(scratch, url, installer, options=None):
    environment = scratch.environment()
    planner = Planner(
        Project(scratch.project), open_source(url, None), environment, installer(environment), now=utc_now
    )
    with locked(environment) as hold:
        assert recover(environment) == ""
        plan = planner.plan([(parse_reference("numbers"), True)], options or Options(upgrade=True))
        return apply(plan, planner.project, environment, planner.installer, planner.pins, hold=hold)


@pytest.fixture
def places(scratch, monkeypatch):
    """Let this process use the folders and the index of the scratch environment."""
    for name in set(os.environ) - set(scratch.environ):
        monkeypatch.delenv(name)
    for name, value in scratch.environ.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("installer", [FailsAtTheEnd, WritesOtherBytes])
def test_a_failure_brings_back_what_was_there(scratch, market, wheels, mirror, package, places, installer):  # noqa: PLR0917 - fixtures
    package("leftpad", "1.0")
    market.publish(wheels(dependencies=["leftpad==1.0"]))
    scratch.run("install", "numbers", "--registry", mirror())
    package("leftpad", "2.0", ["rightpad"])
    package("rightpad", "1.0")
    market.publish(wheels(version="2.0.0", dependencies=["leftpad==2.0"]))
    url = mirror()
    before, lock = scratch.files(), scratch.lock.read_text()
    with pytest.raises(Exception, match=r"on fire|is not what was verified"):
        install(scratch, url, installer)
    assert scratch.files() == before
    assert scratch.lock.read_text() == lock
    assert not is_unfinished(scratch.environment())
    install(scratch, url, Installer)
    assert scratch.version() == "2.0.0"
    assert scratch.version("leftpad") == "2.0"


def test_a_failed_first_install_leaves_nothing(scratch, market, wheels, mirror, package, places):  # noqa: PLR0917 - fixtures
    package("leftpad", "1.0")
    market.publish(wheels(dependencies=["leftpad"]))
    before = scratch.files()
    with pytest.raises(InstallerError, match="on fire"):
        install(scratch, mirror(), FailsAtTheEnd)
    assert scratch.files() == before
    assert not scratch.lock.exists()


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_kill_leaves_the_old_or_the_new_one_and_install_repairs(  # noqa: PLR0917 - fixtures
    scratch, market, wheels, mirror, package, whole_group
):
    """Tried by making `_remove` and `_put_back` do nothing: kills of the whole group then leave half a package."""
    package("leftpad", "1.0")
    package("leftpad", "2.0")
    market.publish(wheels(dependencies=["leftpad==1.0"]))
    scratch.run("install", "numbers@1.0.0", "--registry", mirror())
    market.publish(wheels(version="2.0.0", dependencies=["leftpad==2.0"]))
    url = mirror()
    states = {"1.0.0": scratch.files()}
    started = time.monotonic()
    scratch.run("install", "numbers@2.0.0", "--registry", url)
    took_s = time.monotonic() - started
    states["2.0.0"] = scratch.files()
    chance = random.Random(7)
    unfinished = 0
    current, other = "2.0.0", "1.0.0"
    for _ in range(int(os.environ.get("DTEG_KILLS", "6"))):
        child = subprocess.Popen(
            scratch.command("install", f"numbers@{other}", "--registry", url),
            cwd=scratch.project, env=scratch.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        # Wait for the change to begin, or most kills would hit Python's start.
        environment = scratch.environment()
        end = time.monotonic() + took_s * 3 + 10
        while not is_unfinished(environment) and child.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.3)
        if child.poll() is None:
            (os.killpg if whole_group else os.kill)(child.pid, signal.SIGKILL)
        child.wait()
        with locked(environment):  # an installer that outlived its parent holds this until it is done
            unfinished += is_unfinished(environment)
        scratch.run("install", "--registry", url)
        version = scratch.version()
        assert version in states
        assert scratch.files() == states[version]
        assert f'version = "{version}"' in scratch.lock.read_text()
        if version == other:
            current, other = other, current
    assert unfinished, "no kill hit a change"


def test_two_installs_at_once_wait_for_each_other(scratch, market, wheels, mirror):
    market.publish(wheels())
    market.publish(wheels(name="letters"))
    url = mirror(COMPONENT, "streaming/letters-extractor")
    children = [
        subprocess.Popen(
            scratch.command("install", name, "--registry", url), cwd=scratch.project, env=scratch.environ,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for name in ("numbers", "letters")
    ]  # fmt: skip
    for child in children:
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0, out
    assert scratch.lock.read_text().count("[[component]]") == 2
    assert scratch.version("dteg-streaming-letters-extractor") == "1.0.0"

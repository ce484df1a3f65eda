import sys
from pathlib import Path

import pytest

from dteg.core.errors import EnvironmentProblemError
from dteg.marketplace.environment import Environment, Installer, InstallerError, WheelFile, find_uv


def environment(tmp_path, *packages):
    site = tmp_path / "site"
    for name in packages:
        info = site / f"{name}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nRequires-Dist: httpx>=0.28\nRequires-Dist: rich; extra == 'pretty'\n"
            "Requires-Dist: ???\n\nRequires-Dist: not-a-header\n"
        )
    site.mkdir(exist_ok=True)
    return Environment(site, tmp_path, Path(sys.executable))


def test_packages_are_found_by_their_folders(tmp_path):
    found = environment(tmp_path, "Left_Pad-1.0", "rightpad-2.0rc1").packages
    assert found["left-pad"].version == "1.0"
    assert found["rightpad"].version == "2.0rc1"
    assert [str(each) for each in found["left-pad"].requires] == ["httpx>=0.28"]


def test_the_packages_of_this_environment_hide_others(tmp_path, monkeypatch):
    here = environment(tmp_path, "leftpad-1.0")
    (tmp_path / "other" / "leftpad-2.0.dist-info").mkdir(parents=True)
    (tmp_path / "other" / "midpad-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    assert here.packages["leftpad"].version == "1.0"
    assert here.packages["midpad"].version == "1.0"


def test_without_uv_and_pip_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    installer = Installer(environment(tmp_path), uv="")
    with pytest.raises(
        EnvironmentProblemError, match="neither uv nor pip is here; get one with: python -m ensurepip"
    ):
        installer.uninstall(["x"])


def test_a_system_environment_is_left_alone(tmp_path, monkeypatch):
    here = environment(tmp_path)
    monkeypatch.setattr("os.access", lambda *arguments: False)
    with pytest.raises(EnvironmentProblemError, match="use a virtual environment"):
        here.check_writable()


def test_settings_of_the_user_cannot_add_a_source_of_components(tmp_path, monkeypatch):
    """Neither an index nor a folder of files, whatever the environment says."""
    seen = {}

    def run(command, environ, hold=None):
        seen.update(command=command, environ=environ)
        return ""

    monkeypatch.setattr("dteg.marketplace.environment._run", run)
    for name in ("UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "https://evil.test")
    wheel = WheelFile("dteg-a-b-loader", tmp_path / "x.whl", "ab" * 32)
    for uv in ("uv", ""):
        here = environment(tmp_path / (uv or "pip"), "pip-1.0")
        Installer(here, uv=uv).install_wheels([wheel])
        assert "--no-index" in seen["command"]
        assert "--require-hashes" in seen["command"]
        assert "--no-deps" in seen["command"]
        assert "https://evil.test" not in seen["environ"].values()


def test_what_the_installer_says_is_passed_on_without_passwords(tmp_path, monkeypatch):
    script = tmp_path / "uv"
    script.write_text("#!/bin/sh\necho 'cannot reach https://ann:hunter22@index.test/simple' >&2\nexit 2\n")
    script.chmod(0o755)
    with pytest.raises(InstallerError, match="uv says: cannot reach https://") as caught:
        Installer(environment(tmp_path), uv=str(script)).uninstall(["x"])
    assert "hunter22" not in str(caught.value)


def test_uv_beside_python_is_preferred(monkeypatch, tmp_path):
    (tmp_path / "uv").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_uv() == str(tmp_path / "uv")

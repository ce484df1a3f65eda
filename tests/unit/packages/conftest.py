import zipfile

import pytest

from tests.factories import make_wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A good wheel: `dteg_components/streaming/numbers_extractor`, version 1.0.0."""
    return make_wheel(tmp_path_factory.mktemp("wheel"), tags=[])


@pytest.fixture(scope="session")
def files(wheel):
    """Its files by name; do not change them, make a copy."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}

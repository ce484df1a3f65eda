"""Every bad archive is refused, with the right code, and leaves no trace; the good ones among them are taken.

Tried: with any of the 16 refusals of names.py, or 29 of the 46 in archive.py, taken out, one at a time, these tests turn red.
"""

import pytest

from dteg.packages import PackageError, inspect_wheel, unpack_wheel
from tests.unit.packages.archives import Zip, items_of, tree
from tests.unit.packages.corpus import cases

CASES = cases()


def test_the_corpus_is_large_and_has_no_twins():
    names = [name for name, _, _ in CASES]
    assert len(names) >= 200
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)


@pytest.mark.parametrize(("name", "code", "make"), CASES, ids=[name for name, _, _ in CASES])
def test_is_refused(name, code, make, files, tmp_path):
    data = make(files)
    path = tmp_path / "upload"  # a name of an upload in progress, so that only the contents speak
    path.write_bytes(data)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    before = tree(tmp_path)
    with pytest.raises(PackageError) as refused:
        inspect_wheel(path)
    with pytest.raises(PackageError) as refused_again:
        unpack_wheel(path, tmp_path / "deep" / "er" / "out")
    assert code in refused.value.codes, refused.value
    assert refused_again.value.codes == refused.value.codes
    assert tree(tmp_path) == before
    assert not (tmp_path / "deep" / "er" / "out").exists()
    for problem in refused.value.problems:
        assert problem.message, problem
        assert problem.remedy, problem
        assert str(problem).isprintable(), problem


def test_the_start_of_all_cases_is_good(files, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(Zip(items_of(files)).build())
    assert inspect_wheel(path).manifest.name == "numbers"

import inspect

import pytest

from dteg.core import errors
from dteg.core.errors import ConfigError, DtegError, InputError, MissingExtraError, Problem, TransientError

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, DtegError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_is_documented_and_stands_in_the_tree_with_its_exit_code(cls):
    assert cls.__name__.endswith("Error")
    assert inspect.getdoc(cls)
    assert cls.__doc__ is not None
    line = next(line for line in (errors.__doc__ or "").splitlines() if line.split()[:1] == [cls.__name__])
    assert cls is DtegError or line.split()[1] == str(cls.exit_code)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    parents = {}
    open_classes: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.split()[:1]
        if not name or not name[0].endswith("Error"):
            continue
        depth = len(line) - len(line.lstrip())
        open_classes = [each for each in open_classes if each[0] < depth]
        parents[name[0]] = open_classes[-1][1] if open_classes else "Exception"
        open_classes.append((depth, name[0]))
    assert parents == {cls.__name__: cls.__base__.__name__ for cls in CLASSES}


def test_exit_codes_say_what_happens_next():
    assert {cls.__name__: cls.exit_code for cls in CLASSES if cls.exit_code != 1} == {
        "ConfigError": 2,
        "InputError": 2,
        "EnvironmentProblemError": 3,
        "MissingExtraError": 3,
    }


def test_a_config_error_has_one_line_per_problem():
    error = ConfigError([Problem("wrong", "steps[0].type", "p.yaml", 7), Problem("also wrong")])
    assert str(error) == "p.yaml:7: steps[0].type: wrong\nalso wrong"
    assert ConfigError("just this").problems == [Problem("just this")]


def test_an_input_error_names_file_line_and_row():
    assert str(InputError("bad", source="a.csv", line=3, row=2)) == "a.csv:3 (row 2): bad"
    assert str(InputError("bad", source="a.csv")) == "a.csv: bad"
    assert str(InputError("bad")) == "bad"


def test_a_missing_extra_says_the_command_that_mends_it():
    assert 'uv pip install "dteg[dbt]"' in str(MissingExtraError("dbt", "transform: dbt"))


def test_connector_errors_remember_where_they_come_from():
    error = TransientError("busy", component="rest", stream="orders", retry_after_s=3)
    assert (error.component, error.stream, error.retry_after_s) == ("rest", "orders", 3)

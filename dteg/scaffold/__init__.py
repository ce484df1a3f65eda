"""Files that `dteg` writes for people to go on with; the templates lie in `project/` as they are written."""

from collections.abc import Iterator
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError

_TEMPLATE = Path(__file__).parent / "project"
_RENAMED = {"gitignore": ".gitignore"}


def create_project(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Write the files of a new project.

    Yields:
        Each path, and whether it was made (False: it was there and stays as it is).

    Raises:
        EnvironmentProblemError: The folder cannot be written.
    """
    for source in sorted(path for path in _TEMPLATE.rglob("*") if path.is_file()):
        relative = source.relative_to(_TEMPLATE)
        target = folder / relative.with_name(_RENAMED.get(relative.name, relative.name))
        if target.exists():
            yield target, False
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        except OSError as error:
            raise EnvironmentProblemError(f"{target} cannot be written: {error.strerror}") from None
        yield target, True

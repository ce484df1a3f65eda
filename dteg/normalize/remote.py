"""Files taken apart by a studio, over HTTP: the same method as `Normalizer`."""

import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from dteg.core.errors import EnvironmentProblemError, InputError
from dteg.normalize.outputs.folder import require_free
from dteg.normalize.service import NormalizeRequest, NormalizeResult, Watch
from dteg.studio_client import StudioClient, quoted
from dteg.tables.models import Upload

_MAX_UNPACKED_BYTES = 20 << 30


class RemoteNormalizer:
    """See `dteg.normalize.service.Normalizer`.

    Args:
        client: Of the studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def run(self, request: NormalizeRequest, file: str, watch: Watch = lambda step: None) -> NormalizeResult:
        """Send a file and have it taken apart; with `out` its files are fetched into a folder of this machine.

        Raises:
            InputError: It is no file of this machine, or it cannot be read.
            DtegError: What `Normalizer.run` raises.
        """
        path = Path(file)
        if not path.is_file():
            raise InputError(
                "there is no such file; only a file of this machine can be sent to a studio", source=file
            )
        if request.out:
            require_free(Path(request.out))
        watch("sending")
        upload = Upload.model_validate(self._client.upload("/tables/uploads", path, name=path.name))
        try:
            watch("taking it apart")
            wanted = request.model_copy(update={"out": "", "name": request.name or path.name.split(".")[0]})
            answer = self._client.post(
                f"/normalize/{upload.id}",
                wanted.model_dump(mode="json"),
                with_files=bool(request.out) or None,
            )
            result = NormalizeResult.model_validate(answer)
        finally:
            self._client.delete(f"/tables/uploads/{upload.id}")
        return self._fetched(result, Path(request.out)) if request.out else result

    def _fetched(self, result: NormalizeResult, out: Path) -> NormalizeResult:
        try:
            with tempfile.TemporaryDirectory(prefix="dteg-") as name:
                archive = Path(name) / "files.zip"
                with (
                    self._client.stream(f"/normalize/files/{quoted(result.archive)}") as answer,
                    archive.open("wb") as file,
                ):
                    for part in answer.iter_bytes():
                        file.write(part)
                _unpack(archive, out)
        finally:
            self._client.delete(f"/tables/uploads/{result.archive}")
        return result.model_copy(update={"out": str(out), "archive": ""})


def _unpack(archive: Path, out: Path) -> None:
    """Unpack into a folder that is there whole, or not at all. Names come from the studio, and are looked at."""
    try:
        with zipfile.ZipFile(archive) as files:
            names = files.namelist()
            for name in names:
                parts = PurePosixPath(name).parts
                if not parts or ".." in parts or name.startswith("/") or "\\" in name or len(parts) > 2:
                    raise InputError(f"the studio sends a file called {name!r}, which is none of ours")
            if sum(each.file_size for each in files.infolist()) > _MAX_UNPACKED_BYTES:
                raise InputError(f"the studio sends more than {_MAX_UNPACKED_BYTES >> 30} GB")
            out.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
                whole = Path(name) / "whole"
                files.extractall(whole, names)  # every name was looked at
                if out.exists():
                    out.rmdir()
                shutil.move(whole, out)
    except zipfile.BadZipFile:
        raise InputError("what the studio sends is no zip file") from None
    except OSError as error:
        raise EnvironmentProblemError(f"{out} cannot be written: {error.strerror or error}") from None

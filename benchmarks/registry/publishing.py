"""Publishing: wheels and signatures are made before the time counts, so that only the registry is measured."""

import secrets
from pathlib import Path

import yaml

from benchmarks.registry.running import NAMESPACE
from benchmarks.registry.wire import Call
from dteg.core.project import Project
from dteg.manifest import MANIFEST_NAME
from dteg.packages import build_wheel
from dteg.scaffold.component import NewComponent, create_component
from dteg.signing import PUBLISH, SigningKey, canonical_json, statement

ACCEPTED = 202
TAKEN = 409


class Publisher:
    """Makes requests that publish the versions of one small component.

    Args:
        folder: Where the component and its wheels are written.
        key: What signs.
        name: Name of the component.
    """

    def __init__(self, folder: Path, key: SigningKey, name: str) -> None:
        self.key, self.out = key, folder / f"{name}-wheels"
        project = folder / name
        project.mkdir()
        new = NewComponent("extractor", name, "bench", "Made for the measurement of publishing.", NAMESPACE)
        (self.folder,) = {path.parent for path in create_component(Project(project), new)}
        self._manifest = yaml.safe_load((self.folder / MANIFEST_NAME).read_text())

    def wheel(self, version: str) -> Path:
        """Return the wheel of a version."""
        (self.folder / MANIFEST_NAME).write_text(yaml.safe_dump({**self._manifest, "version": version}))
        self.out.mkdir(exist_ok=True)
        return build_wheel(self.folder, namespace=NAMESPACE, out=self.out)

    def call(self, version: str, port: int, token: str, expected: tuple[int, ...] = (ACCEPTED,)) -> Call:
        """Return the request that publishes a version."""
        path = self.wheel(version)
        body, content_type = _form(path.name, path.read_bytes(), self._envelope(path))
        head = (
            f"POST /api/v1/releases HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Call("publish", head.encode() + body, expected)

    def _envelope(self, wheel: Path) -> bytes:
        import hashlib

        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return canonical_json(self.key.sign(statement(wheel.name, sha256, PUBLISH, {})))


def _form(name: str, wheel: bytes, envelope: bytes) -> tuple[bytes, str]:
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="wheel"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode(), wheel,
        f'\r\n--{border}\r\nContent-Disposition: form-data; name="signature"\r\n\r\n'.encode(), envelope,
        f"\r\n--{border}--\r\n".encode(),
    ]  # fmt: skip
    return b"".join(parts), f"multipart/form-data; boundary={border}"

"""Reads a component's files with bandit, detect-secrets and dteg's own rules; runs nothing of it."""

from pathlib import Path
from typing import Any

from dteg.gates.inside.channel import start

TEXT_SUFFIXES = frozenset(
    [
        ".py",
        ".pyi",
        ".md",
        ".yaml",
        ".yml",
        ".json",
        ".toml",
        ".cfg",
        ".ini",
        ".txt",
        ".sql",
        ".csv",
        ".xml",
        ".html",
    ]
)
# What documentation writes in place of a secret.
PLACEHOLDERS = frozenset(
    ["password", "pass", "passwd", "secret", "token", "xxx", "***", "...", "changeme", "user"]
)
GENERATED = "dteg.schema.json"


def main() -> None:
    """Scan, tell."""
    given, send = start()
    folder = Path(given.get("component", "/component")) / given["package"].replace(".", "/")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    code = [path for path in files if path.suffix == ".py"]
    from dteg.gates.patterns import scan_code, scan_text

    findings = [*_bandit(folder, code), *_secrets(folder, files)]
    capabilities: list[dict[str, Any]] = []
    for path in code:
        name = path.relative_to(folder).as_posix()
        found, used = scan_code(name, path.read_bytes())
        findings += found
        capabilities += used
    for path in files:
        if path.suffix in TEXT_SUFFIXES and path.name != GENERATED:
            findings += scan_text(path.relative_to(folder).as_posix(), path.read_bytes())
    send({"kind": "result", "findings": findings, "capabilities": capabilities, "files": len(files)})


def _bandit(folder: Path, code: list[Path]) -> list[dict[str, Any]]:
    from bandit.core.config import BanditConfig
    from bandit.core.manager import BanditManager

    manager = BanditManager(BanditConfig(), "file", quiet=True)
    # `# nosec` is a claim of the author's; waivers stand in dteg.yaml, where everybody sees them.
    manager.ignore_nosec = True
    manager.discover_files([str(path) for path in code], recursive=False)
    manager.run_tests()
    found = []
    for issue in manager.get_issue_list():
        path = Path(issue.fname).relative_to(folder).as_posix()
        found.append(
            {
                "tool": "bandit", "rule": issue.test_id, "severity": issue.severity, "confidence": issue.confidence,
                "message": issue.text, "file": path, "line": issue.lineno,
            }
        )  # fmt: skip
    for path_name, why in manager.get_skipped():
        name = Path(path_name).relative_to(folder).as_posix()
        found.append(
            {
                "tool": "bandit", "rule": "unreadable-code", "severity": "HIGH", "confidence": "HIGH",
                "message": f"cannot be parsed, so it was not scanned: {why}", "file": name, "line": None,
            }
        )  # fmt: skip
    return found


def _secrets(folder: Path, files: list[Path]) -> list[dict[str, Any]]:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    plugins = [
        "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector",
        "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector",
        "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector",
        "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector",
        "TwilioKeyDetector", "KeywordDetector",
    ]  # fmt: skip
    found = []
    # No verification: it would ask the services, and there is no network. No allow-list comments either.
    with transient_settings({"plugins_used": [{"name": name} for name in plugins], "filters_used": []}):
        for path in files:
            if path.name == GENERATED:
                continue
            for secret in scan_file(str(path)):
                if (secret.secret_value or "").lower() in PLACEHOLDERS:
                    continue
                name = path.relative_to(folder).as_posix()
                found.append(
                    {
                        "tool": "secrets",
                        "rule": secret.type,
                        "file": name,
                        "line": secret.line_number,
                        "message": "",
                    }
                )
    return found


if __name__ == "__main__":
    main()

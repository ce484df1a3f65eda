import pytest

from dteg.testing.browser import stays_here


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://127.8.9.10/", True),
        ("http://[::1]:80/", True),
        ("https://localhost/x?y=http://example.org", True),
        ("ws://127.0.0.1:3000/graphql", True),
        ("data:image/png;base64,aaaa", True),
        ("blob:http://127.0.0.1/1", True),
        ("about:blank", True),
        ("https://example.org/", False),
        ("http://127.0.0.1.example.org/", False),
        ("http://localhost.example.org/", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://192.0.2.1/", False),
        ("http://0.0.0.0/", False),
        ("wss://example.org/", False),
        ("file:///etc/passwd", False),
        ("file://localhost/etc/passwd", False),
        ("", False),
    ],
)
def test_only_this_machine_is_here(url, expected):
    assert stays_here(url) is expected

import pyarrow as pa
import pytest

from .inference import Kind, join, kind_of_text

VALUES = [
    None, "", "0", "-1", "007", "12", "999999999999999", "1000000000000000", "-1000000000000000", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "1.5", ".5", "1e3", "1e00001", "1234567890123456.5", "0.1", "00.1",
    "nan", "inf", "-Infinity", "true", "FALSE", "yes", "2026-01-01", "2026-02-30", "2026-01-01 10:00", "2026-01-01T10:00:00",
    "2026-01-01 10", "2026-01-01T10:00:00Z", "2026-01-01 10:00:00+02:00", "2026-01-01 10:00:00.1234567", "0x1F", "+1", " 1",
    "a", "0.12345678901234567", "-0.123456789012345678", "12.3456789012345678901", "1e300", "1e-400",
]  # fmt: skip


def kind(*values, expected=Kind.NULL):
    return kind_of_text(pa.array(values, pa.string()), expected)


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_it_does_not_matter_in_which_batch_a_value_stands(number):
    """Tried: with 16 digits as a narrow bigint, `1.5` beside it is numeric in one batch and double in two."""
    left = VALUES[number]
    for right in VALUES[number:]:
        apart = join(kind(left), kind(right))
        assert join(kind(right), kind(left)) is apart
        assert kind(left, right) is apart, (left, right)
        for expected in Kind:
            # Each one before and after the other.
            assert join(expected, kind(left, right, left, expected=expected)) is join(expected, apart), (
                left, right, expected,
            )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.00012345678901234567", Kind.DOUBLE),  # what programs write for a double
        ("0.1234567890123456789012345", Kind.NUMERIC),
        ("-1234567890.12345678", Kind.NUMERIC),
        ("1e299", Kind.DOUBLE),
        ("1e400", Kind.NUMERIC),
        ("2E-1000", Kind.NUMERIC),
    ],
)
def test_what_a_double_cannot_hold_is_numeric(text, expected):
    assert kind("0.5", text) is expected

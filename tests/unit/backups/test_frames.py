"""Frames: what comes out is what went in, or an error."""

import io
import random
import threading

import pytest

from dteg.backups.errors import DamagedBackupError
from dteg.backups.frames import FRAME_BYTES, FrameWriter, HashingReader, read_frames

KEYS = {"plain": None, "encrypted": b"k" * 32}
RANDOM = random.Random(1).randbytes(2 * FRAME_BYTES + 5)


def framed(content, key):
    out = io.BytesIO()
    writer = FrameWriter(out.write, key)
    writer.write(content)
    assert writer.num_bytes == len(out.getvalue())
    return out.getvalue()


def unframed(data, key):
    return b"".join(read_frames(io.BytesIO(data), key))


def starts(data):
    """Return where each frame begins, and the end."""
    at = [28]
    while at[-1] < len(data):
        at.append(at[-1] + 9 + int.from_bytes(data[at[-1] : at[-1] + 4], "big"))
    return at


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("content", [b"", b"x", b"x" * FRAME_BYTES, b"ab" * FRAME_BYTES, RANDOM])
def test_what_is_written_is_read(key, content):
    assert unframed(framed(content, key), key) == content


def test_what_repeats_gets_small_and_what_does_not_stays():
    assert len(framed(b"x" * FRAME_BYTES, None)) < 1000
    assert len(framed(RANDOM, None)) < len(RANDOM) + 200


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_file_that_ends_with_a_whole_frame_is_cut(key):
    """Seen red: with the last-frame flag not looked at, the cut file reads as a shorter one."""
    data = framed(RANDOM, key)
    for at in starts(data)[:-1]:
        with pytest.raises(DamagedBackupError, match="cut"):
            unframed(data[:at], key)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_frames_cannot_be_swapped_repeated_or_left_out(key):
    """Seen red: without the frame's number in what is sealed with it; if encrypted, nor in the nonce."""
    data = framed(RANDOM, key)
    a, b, c, end = starts(data)
    first, second, third = data[a:b], data[b:c], data[c:end]
    for frames in (
        (second, first, third),
        (first, first, third),
        (first, third),
        (first, second, third, third),
    ):
        with pytest.raises(DamagedBackupError):
            unframed(data[:a] + b"".join(frames), key)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_frame_of_another_file_does_not_fit(key):
    one, other = framed(RANDOM, key), framed(RANDOM[::-1], key)
    at, end = starts(one)[:2]
    with pytest.raises(DamagedBackupError):
        unframed(one[:at] + other[at:end] + one[end:], key)


def test_another_key_opens_nothing():
    with pytest.raises(DamagedBackupError, match="key is another"):
        unframed(framed(b"x", b"k" * 32), b"l" * 32)
    for written, read in ((None, b"k" * 32), (b"k" * 32, None)):
        with pytest.raises(DamagedBackupError, match="begin"):
            unframed(framed(b"x", written), read)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_all_before_a_damage_comes_first_and_nothing_after_it(key):
    """Frames are opened side by side. Seen red: with frames after the damaged one handed out, then the error."""
    content = random.Random(2).randbytes(6 * FRAME_BYTES)
    data = framed(content, key)
    places = starts(data)
    for number in range(6):
        flipped = bytearray(data)
        flipped[places[number] + 20] ^= 1
        for damaged in (bytes(flipped), data[: places[number] + 20]):
            taken = []
            with pytest.raises(DamagedBackupError):
                taken.extend(read_frames(io.BytesIO(damaged), key))
            assert b"".join(taken) == content[: number * FRAME_BYTES]


def test_a_damaged_frame_is_named_although_the_file_breaks_off_behind_it():
    data = bytearray(framed(RANDOM, None))
    first, second = starts(data)[:2]
    data[first + 20] ^= 1
    with pytest.raises(DamagedBackupError, match=r"frame 0 .*digest"):
        unframed(bytes(data[: second + 30]), None)


def test_who_stops_reading_leaves_no_threads():
    frames = read_frames(io.BytesIO(framed(RANDOM, None)), None)
    next(frames)
    frames.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("frames")]


def test_the_key_is_not_in_the_file_and_equal_contents_differ():
    one, other = framed(b"secret words" * 100, b"k" * 32), framed(b"secret words" * 100, b"k" * 32)
    assert b"secret" not in one
    assert one[28:] != other[28:]


def test_a_whole_file_is_compared_with_its_hash():
    data = framed(b"x", None)
    reader = HashingReader(io.BytesIO(data))
    list(read_frames(reader, None))
    with pytest.raises(DamagedBackupError, match="another"):
        reader.compare("0" * 64, len(data))


def test_lengths_that_cannot_be_are_refused_before_memory_is_taken():
    data = bytearray(framed(b"x", None))
    data[28:32] = (0x7FFFFFFF).to_bytes(4, "big")
    with pytest.raises(DamagedBackupError, match="length"):
        unframed(bytes(data), None)

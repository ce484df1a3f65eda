"""A listener that is going to be killed: it tells each phase of its work, and lingers in the one it is told.

With `DTEG_TEST_CURSOR=id` its cursor is the last id that it has read: the mistake that the test must be able to see.
"""

import os
import random
import sys
import threading
import time

from dteg.core.project import Project
from dteg.schema_changes import reader as reader_module
from dteg.schema_changes.ledger import Ledger
from dteg.schema_changes.listener import Listener, Pace
from dteg.schema_changes.reader import Reader


def tell(phase):
    """Write one byte-sized line: a pipe takes it whole."""
    os.write(sys.stdout.fileno(), f"{phase}\n".encode())
    if phase == os.environ.get("DTEG_TEST_LINGER"):
        time.sleep(random.uniform(0, 0.03))


def telling(phase, method):
    def wrapped(self, place, *arguments, **options):
        result = method(self, place, *arguments, **options)
        busy = result if phase == "read" else arguments[0] if phase == "deliver" else arguments[-1]
        if busy:
            tell(phase)
        return result

    return wrapped


def committing(method):
    def wrapped(self, *arguments, **options):
        look = method(self, *arguments, **options)
        if look.changes:
            tell("commit")
        return look

    return wrapped


def by_id():
    """Take the cursor for an id."""
    unread = reader_module.CAPTURE["unread"]
    wanted = b"e.xid >= %(cursor)s::text::xid8"
    assert wanted in unread
    reader_module.CAPTURE["unread"] = unread.replace(wanted, b"e.id > %(cursor)s::text::bigint")
    deliver = Reader._deliver

    def deliver_by_id(self, place, events, cursor, snapshot):
        last = max((event.id for event in events), default=place.cursor)
        deliver(self, place, events, last, snapshot)

    Reader._deliver = deliver_by_id


def main():
    if os.environ.get("DTEG_TEST_CURSOR") == "id":
        by_id()
    Reader.unread = telling("read", Reader.unread)
    Ledger.write = telling("write", Ledger.write)
    Reader._deliver = telling("deliver", Reader._deliver)
    Reader.look = committing(Reader.look)
    pace = Pace(snapshot_s=3, position_s=1, standby_s=0.1)
    listener = Listener(Project.find(), pace, on_lead=lambda leads: tell("leads" if leads else "stands by"))
    listener.run(threading.Event())


if __name__ == "__main__":
    main()

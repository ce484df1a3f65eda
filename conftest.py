"""Fixtures for all tests, those beside the connectors included: an empty project and PostgreSQL."""

import signal

pytest_plugins = ["dteg.testing.fixtures", "dteg.testing.mongodb"]

# A shell's background job starts with SIGINT ignored, and so would every program a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

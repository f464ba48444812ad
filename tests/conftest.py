"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell lets its background jobs ignore Ctrl-C, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

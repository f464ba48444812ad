"""A station imports what its own source needs and no more; a binding that is missing is named by its package."""

from __future__ import annotations

import subprocess
import sys

import pytest

BINDINGS = ("gi", "gpiod", "inotify_simple")

IMPORT = """
import sys
from pathlib import Path
from edge_runtime.daemon import assembly
from edge_runtime.sources.protocol import open_source
from edge_runtime.sources.settings import SourceSettings
with open_source(SourceSettings(uri="folder://" + sys.argv[1])) as source:
    source.next_frame(0.0)
print(sorted(name for name in {bindings} if name in sys.modules))
"""

MISSING = """
import sys
sys.modules["gi"] = None
from edge_runtime.errors import ConfigError
from edge_runtime.sources.protocol import open_source
from edge_runtime.sources.settings import SourceSettings
try:
    open_source(SourceSettings(uri=sys.argv[1]))
except ConfigError as error:
    print(error)
"""


def printed(program, argument):
    found = subprocess.run([sys.executable, "-c", program, argument], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_a_folder_of_recordings_loads_no_binding_of_a_camera_or_an_output(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert printed(IMPORT.format(bindings=BINDINGS), str(tmp_path)) == "[]"


@pytest.mark.parametrize(
    ("uri", "package"),
    [
        ("aravis://*", "apt install gir1.2-aravis-0.8"),
        ("rtsp://127.0.0.1/x", "gir1.2-gst-plugins-base-1.0"),
        ("v4l2:///dev/video0", "gir1.2-gst-plugins-base-1.0"),
        ("csi://0", "gir1.2-gst-plugins-base-1.0"),
    ],
)
def test_a_binding_that_is_missing_is_named_by_its_package(uri, package):
    assert package in printed(MISSING, uri)

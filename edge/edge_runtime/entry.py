"""Where `edge-daemon` begins: what all its modules need is looked at before the first of them is loaded."""

from __future__ import annotations

from edge_runtime.program import require_opencv


def main() -> None:
    """Run the command line."""
    require_opencv("edge-daemon")
    from edge_runtime.cli import main as run

    run()

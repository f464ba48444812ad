"""Where `edge-build` begins: what all its modules need is looked at before the first of them is loaded."""

from __future__ import annotations

from edge_runtime.program import require_opencv


def main() -> None:
    """Run the command line."""
    require_opencv("edge-build")
    from edge_build.cli import main as run

    run()

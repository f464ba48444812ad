"""What works on a machine with an NVIDIA GPU, and how fast: one command, at most eight minutes, Markdown out.

    python -m benchmarks.gpu BUNDLE [BUNDLE...] [--data CATEGORY] [--minutes 8] [--out gpu.md]

Seven parts, each in a process of its own, so that one that crashes takes no other with it: what there is; CUDA as our
engine uses it; every graph of every bundle by every engine; the same module in torch; the paper's figure and the
latency model's beside what was measured; CPR trained on the GPU; verdicts in the GPU's arithmetic. What is missing is
named and skipped, and the exit code is 0 all the same. --data: a category in MVTec's layout, to learn from and for part
7; without it one is rendered to learn from.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a file, not as a module
    sys.path.insert(0, str(ROOT))


@dataclass(frozen=True)
class Part:
    """most_s: what it may take of the whole time. load: gives the function that yields its lines."""

    title: str
    most_s: float
    load: Callable[[], Callable[[Job], Iterator[str]]]


@dataclass(frozen=True)
class Job:
    """What a part works on. work: a folder for what later parts need. seconds: what it should take at most."""

    bundles: tuple[Path, ...]
    data: Path | None
    work: Path
    seconds: float

    def keep(self, name: str, value: Any) -> None:
        """For a later part."""
        (self.work / f"{name}.json").write_text(json.dumps(value))

    def kept(self, name: str) -> Any:
        """What an earlier part kept; None when it did not come so far."""
        path = self.work / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None


def _machine() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.machine import lines

    return lines


def _cuda() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.cuda_calls import lines

    return lines


def _engines() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.engines import lines

    return lines


def _torch_module() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.torch_module import lines

    return lines


def _model() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.model import lines

    return lines


def _training() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.training import lines

    return lines


def _verdicts() -> Callable[[Job], Iterator[str]]:
    from benchmarks.shared.gpu.verdicts import lines

    return lines


PARTS = (
    Part("Driver, GPU, versions", 30, _machine),
    Part("CUDA as the engine uses it", 30, _cuda),
    Part("Every graph by every engine", 210, _engines),
    Part("The same module in torch", 60, _torch_module),
    Part("The paper's figure and the latency model's", 20, _model),
    Part("CPR trained on the GPU", 120, _training),
    Part("Verdicts in the GPU's arithmetic", 90, _verdicts),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts, or one of them in this process (--part, for the parent)."""
    given = command_line().parse_args(arguments)
    if given.part is not None:
        run_here(PARTS[given.part - 1], Job(tuple(given.bundles), given.data, given.work, 60 * given.minutes))
        return
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(given.out.open("w")) if given.out else None
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for line in report(tuple(given.bundles), given.data, 60 * given.minutes, work):
            print(line, flush=True)
            if out is not None:
                print(line, file=out, flush=True)


def command_line() -> argparse.ArgumentParser:
    """What the benchmark takes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", type=int, choices=range(1, len(PARTS) + 1), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    return parser


def run_here(part: Part, job: Job) -> None:
    """One part, line by line. What the world lacks is a line; a fault is its traceback, and the exit code."""
    from benchmarks.shared.gpu.missing import MissingError
    from edge_runtime.errors import EdgeError

    try:
        for line in part.load()(job):
            print(line, flush=True)
    except (MissingError, EdgeError, ImportError) as missing:
        print(f"- missing: {missing}", flush=True)


def report(bundles: tuple[Path, ...], data: Path | None, seconds: float, work: Path) -> Iterator[str]:
    """The whole page, while it is made."""
    end = time.monotonic() + seconds
    yield "# What this machine's GPU does"
    for number, part in enumerate(PARTS, 1):
        yield ""
        yield f"## {number}. {part.title}"
        yield ""
        limit = min(end - time.monotonic(), part.most_s * seconds / 480)
        if limit < 1:
            yield "- skipped: the time is over"
            continue
        yield from child_lines(number, bundles, data, work, limit)
    yield ""
    yield f"Took {seconds - (end - time.monotonic()):.0f} s."


def child_lines(number: int, bundles: tuple[Path, ...], data: Path | None, work: Path, limit: float) -> Iterator[str]:
    """What a part's process prints. It is ended a little after its time."""
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, bundles), "--part", str(number)]
    command += ["--work", str(work), "--minutes", str(limit / 60), *(["--data", str(data)] if data else [])]
    errors = work / f"errors-{number}.txt"
    with errors.open("w") as sink:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sink, text=True, cwd=ROOT)
        timer = _kill_after(process, limit * 1.1 + 2)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
            code = process.wait()
        finally:
            timer()
            process.kill()
    if code == -signal.SIGKILL:
        yield f"- ended after {limit:.0f} s, which is its share of the time"
    elif code < 0:
        yield f"- crashed with {signal.Signals(-code).name}: a fault of the driver or of a library of NVIDIA's"
    elif code:
        yield f"- failed: {_last_line(errors)}"


def _kill_after(process: subprocess.Popen[str], seconds: float) -> Callable[[], None]:
    import threading

    timer = threading.Timer(seconds, process.kill)
    timer.start()
    return timer.cancel


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


if __name__ == "__main__":
    main()

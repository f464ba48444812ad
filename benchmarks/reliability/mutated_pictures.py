"""The reader of picture files under files that somebody changed: what happens to them, in how much memory.

    python -m benchmarks.reliability.mutated_pictures [--count 200000] [--seed 0] [--memory 512] [--processes 2]

Each file is a whole PNG, JPEG, BMP or TIFF, changed in one to eight places; every hundredth is a bomb made by hand. The
processes may have so many megabytes of address space, libraries included: a file that needs more would show as such.
Anything but pixels or a PictureError ends this with its bytes in a file. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

BLOCK = 2_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Read them all, in blocks."""
    options = command_line().parse_args(arguments)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its threads reserve address space
    seeds = range(options.seed, options.seed + -(-options.count // BLOCK))
    counts: Counter[str] = Counter()
    slowest_s, most_kb = 0.0, 0
    pool = ProcessPoolExecutor(options.processes, get_context("spawn"), _limit_memory, (options.memory,))
    with pool:
        for found, block_s, block_kb in pool.map(_read_block, seeds, [min(BLOCK, options.count)] * len(seeds)):
            counts.update(found)
            slowest_s, most_kb = max(slowest_s, block_s), max(most_kb, block_kb)
    print(
        "| files | read | refused | out of memory | longest, CPU s | largest process, MB |\n|---|---|---|---|---|---|"
    )
    print(
        f"| {counts.total()} | {counts['read']} | {counts['refused']} | {counts['memory']} | {slowest_s:.2f} "
        f"| {most_kb // 1024} |"
    )


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=512, help="megabytes of address space a process")
    parser.add_argument("--processes", type=int, default=2)
    return parser


def _limit_memory(megabytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20,) * 2)


def _read_block(seed: int, count: int) -> tuple[Counter[str], float, int]:
    """How many were read and refused, the processor's longest time for one, the process's size in kB."""
    from tests.support.mutated_pictures import bombs, mutated

    from edge_runtime.errors import PictureError
    from edge_runtime.imaging.reader import picture_from_bytes

    counts: Counter[str] = Counter()
    slowest_s, by_hand = 0.0, cycle(bombs().values())
    for number, data in enumerate(mutated(seed, count)):
        data = next(by_hand) if number % 100 == 0 else data
        started = time.process_time()
        try:
            picture_from_bytes(data, Path("part"))
            counts["read"] += 1
        except PictureError as error:
            counts["memory" if "needs more memory" in str(error) else "refused"] += 1
        except Exception:
            Path(f"mutated-{seed}-{number}.bin").write_bytes(data)
            raise
        slowest_s = max(slowest_s, time.process_time() - started)
    return counts, slowest_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()

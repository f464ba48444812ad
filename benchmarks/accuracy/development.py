"""Write the development sets, on which settings are chosen: pictures of which nobody's test pictures are a part.

    python -m benchmarks.accuracy.development DIR [--real DATA/screw DATA/ball_screw] [--side 224] [--seed 0]

Photographs of surfaces and of a coin (scikit-image), rendered parts of three materials, cloth woven by a program, and
of each `--real` folder its good training pictures. Defects of four kinds are drawn by programs that training does not
use; specks, marks of handling and changes of light are on good pictures as well. DIR gets one folder for each set, in
MVTec's layout; the same seed writes the same pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.shared.development.sets import Counts, makers, write_set


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every set that is not there yet."""
    options = command_line().parse_args(arguments)
    counts = Counts(options.train, options.good, options.defect)
    chosen = makers(options.side, options.real)
    for name, maker in chosen.items():
        if options.sets and name not in options.sets:
            continue
        if (options.folder / name).exists():
            raise SystemExit(f"{options.folder / name} exists: name another folder, or remove it")
        write_set(options.folder / name, maker, counts, options.seed)
        print(f"{options.folder / name}: {counts.train} good, {counts.good} good and 4 x {counts.defect} to test")


def command_line() -> argparse.ArgumentParser:
    """What it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of real parts in MVTec's layout")
    parser.add_argument("--sets", nargs="*", help="only these, all without")
    parser.add_argument("--side", type=int, default=224, help="root of the pixels of a picture")
    parser.add_argument("--train", type=int, default=48)
    parser.add_argument("--good", type=int, default=24)
    parser.add_argument("--defect", type=int, default=8, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()

"""A comparison as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from edge_build.evaluation.comparison import Comparison, Difference

MOST_DIFFERING = 12


def comparison_text(comparison: Comparison) -> str:
    """All of it, the bundles as columns of a table."""
    return "\n".join(_lines(comparison))


def _lines(c: Comparison) -> Iterator[str]:
    names = [row.bundle for row in c.rows]
    yield f"{c.dataset}: {c.good} good test pictures, {c.defects} of defects"
    table = [
        ("", names),
        ("image AUROC", [f"{row.image_auroc:.2%}" for row in c.rows]),
        ("  beside the first", [_difference(row.auroc_difference) for row in c.rows]),
        ("AUPRO", [_share(row.aupro) for row in c.rows]),
        ("pixel AP", [_share(row.pixel_ap) for row in c.rows]),
        ("at their own thresholds", ["" for _ in c.rows]),
        ("  found", [f"{row.found}" for row in c.rows]),
        ("  false rejects", [f"{row.false_rejects}" for row in c.rows]),
        (f"at {c.rejected} of {c.good} false rejects", ["" for _ in c.rows]),
        ("  found", [f"{row.equal_found}" for row in c.rows]),
        ("  beside the first", [_difference(row.found_difference) for row in c.rows]),
        *((f"  {kind} ({count})", [f"{row.found_of_kind[kind]}" for row in c.rows]) for kind, count in c.kinds.items()),
    ]
    first = max(len(label) for label, _ in table)
    widths = [max(len(cells[place]) for _, cells in table) for place in range(len(names))]
    for label, cells in table:
        yield (label.ljust(first) + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, widths, strict=True))).rstrip()
    yield "differences in points, with 95 % intervals over the test pictures, the same for all bundles"
    if c.choice is not None:
        h = c.choice
        yield (
            f"chosen on {h.chosen_on} of the pictures: {h.bundle} (image AUROC {h.choosing_auroc:.2%}); on the other "
            f"{h.measured_on} it has {h.measured_auroc:.2%} and finds {h.measured_found} of {h.measured_defects}"
        )
    if c.differing:
        yield f"{len(c.differing)} pictures that they judge differently (score / threshold, bundle by bundle):"
        for picture in c.differing[:MOST_DIFFERING]:
            yield f"  {picture.picture}: {', '.join(f'{ratio:.2f}' for ratio in picture.ratios)}"
        if len(c.differing) > MOST_DIFFERING:
            yield f"  and {len(c.differing) - MOST_DIFFERING} more"
    yield from c.notes


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    return f"{100 * difference.value:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"

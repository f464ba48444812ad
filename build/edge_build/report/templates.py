"""Where the pages' templates are, and the filters that they write figures with."""

from __future__ import annotations

from pathlib import Path

import jinja2

from edge_build.recipe.input_size import size_text

TEMPLATES = Path(__file__).parent


def page_from_template(template: str, /, **values: object) -> str:
    """A whole page. Everything is escaped, and a value that a template lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "share": share, "figure": figure, "points": points, "size": size_text}
    return environment.get_template(template).render(**values)


def percent(value: float, digits: int = 1) -> str:
    """0.123 as `12.3 %`, with a narrow space that does not break."""
    return f"{100 * value:.{digits}f}\u202f%"


def share(value: float | None) -> str:
    """A metric between 0 and 1 as `98.7`, as papers print it; a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.1f}"


def points(change: float | None) -> str:
    """A change of a metric in points, `+0.12`; a dash where it is undefined."""
    return "–" if change is None else f"{100 * change:+.2f}"


def figure(value: float) -> str:
    """A raw score with four significant digits."""
    return f"{value:.4g}"

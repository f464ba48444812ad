"""The `view` of a recipe's text changed, and not a character of anything else: comments and layout are the writer's.

    text = with_view(text, ViewSettings(pose="axis", region=(10, 0, 600, 480)))

PyYAML tells where each value stands in the text; only values that change are replaced there.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from edge_build.recipe.recipe import INIT, Recipe
from edge_build.recipe.view_settings import ViewSettings
from edge_runtime.errors import ConfigError
from edge_runtime.strict_yaml.model import model_from_text

Edit = tuple[int, int, str]  # from, to, and what stands there instead


def with_view(text: str, view: ViewSettings, path: Path) -> str:
    """The text with that view; paths in both are as they are written. path: for messages.

    Raises ConfigError for a text that is no recipe, and for one in which the values cannot be replaced.
    """
    before = _recipe(text, path)
    changed = {name: value for name, value in view if value != getattr(before.view, name)}
    if not changed:
        return text
    edited = _applied(text, _edits(text, {name: _flow(value) for name, value in changed.items()}))
    try:
        kept = _recipe(edited, path) == before.model_copy(update={"view": view})
    except ConfigError:
        kept = False
    if not kept:
        raise ConfigError(
            f"{path}: the values of view cannot be replaced in the way that it is written; write it as "
            "`edge-build init` does, one key to a line, and try again"
        )
    return edited


def _recipe(text: str, path: Path) -> Recipe:
    return model_from_text(text, path, Recipe, INIT)


def _edits(text: str, values: dict[str, str]) -> list[Edit]:
    line_end = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # it is a recipe
    found = next((pair for pair in root.value if pair[0].value == "view"), None)
    if found is None:
        begins = "" if text.endswith("\n") else line_end
        lines = ["view:", *(f"  {name}: {value}" for name, value in values.items())]
        return [(len(text), len(text), begins + "".join(line + line_end for line in lines))]
    view = found[1]
    if not isinstance(view, yaml.MappingNode):  # `view:` and nothing else would be no recipe
        return []
    stands = {name.value: (name, value) for name, value in view.value}
    edits = [_replaced(text, *stands[name], value) for name, value in values.items() if name in stands]
    new = {name: value for name, value in values.items() if name not in stands}
    if new and view.flow_style:
        end = view.end_mark.index - 1  # its closing bracket
        comma = ", " if view.value else ""
        edits.append((end, end, comma + ", ".join(f"{name}: {value}" for name, value in new.items())))
    elif new:
        first = view.value[0][0].start_mark
        above = "".join(f"{name}: {value}{line_end}{' ' * first.column}" for name, value in new.items())
        edits.append((first.index, first.index, above))
    return edits


def _replaced(text: str, key: yaml.Node, value: yaml.Node, written: str) -> Edit:
    """A list that stands below its key is brought onto the key's line."""
    start, end = value.start_mark.index, _end(value)
    if value.start_mark.line != key.start_mark.line or start == end:  # below, or nothing
        start = text.index(":", key.end_mark.index) + 1
        written = f" {written}"
    return start, max(start, end), written


def _end(node: yaml.Node) -> int:
    """Where a value's last character stands; a block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _applied(text: str, edits: list[Edit]) -> str:
    for start, end, written in sorted(edits, reverse=True):
        text = text[:start] + written + text[end:]
    return text


def _flow(value: object) -> str:
    """A value on one line."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return "null" if value is None else str(value)

"""The structure of a YAML text: mappings, lists and scalars as they are written, each with its line.

    root = nodes_from_yaml(text)             # a MapNode, ListNode or ScalarNode; None for an empty text

PyYAML tokenises and parses; no value is interpreted here. What may mean something that its writer does not know is
refused: anchors, aliases, merge keys, tags, directives, a second document, a key that stands twice or is no word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

MOST_LEVELS = 20  # of lists and mappings in one another; a recipe has four
MOST_VALUES = 5000  # a station has a hundred
MOST_SHOWN = 10  # keys that stand twice
MERGE_KEY = "<<"
INDENT = "check how far this line and the one before are indented"
QUOTE = "put the value in quotes"
# What PyYAML says, and what whoever wrote the file should look at.
ADVICE = (
    ("found character '\\t'", "a tab stands there: use spaces, also for indenting"),
    ("cannot start any token", QUOTE),
    ("mapping values are not allowed", f"{QUOTE} if the colon belongs to it, or {INDENT}"),
    ("could not find expected ':'", "each line is `key: value`, with a space after the colon"),
    ("sequence entries are not allowed", f"a list begins below its key; {QUOTE} if the - belongs to it"),
    ("unknown escape character", "in double quotes \\ begins an escape: use single quotes"),
    ("expected escape sequence", "in double quotes \\ begins an escape: use single quotes"),
    ("found unexpected end of stream", "a quote that is opened before is not closed"),
    ("expected ',' or", "a bracket that is opened before is not closed, or a comma is missing"),
    ("but got '<stream end>'", "a bracket that is opened before is not closed"),
    ("expected <block end>", f"{INDENT}; text with quotes in it is quoted as a whole"),
    ("expected '<document start>'", INDENT),
)
# A character that cannot be seen, or that some readers of YAML take for the end of a line.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


class YamlError(ValueError):
    """Text that is no YAML, or YAML that is not read. It says where, what and what to do, and repeats no value."""


@dataclass(frozen=True)
class ScalarNode:
    """A value as it is written, without its quotes. plain: it had none."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True)
class ListNode:
    """The items in order."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True)
class MapNode:
    """The values by their keys, which are text as it is written. key_lines: where each key stands."""

    items: dict[str, Node]
    key_lines: dict[str, int]
    line: int


Node = ScalarNode | ListNode | MapNode


def nodes_from_yaml(text: str, older: bool = False) -> Node | None:
    """The root of the one document; None for an empty one. Raises YamlError.

    older: the text was read by a version that passed over anchors, tags and directives, and so is it now.
    """
    text = text.removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        line = len(re.findall(r"\r\n|\r|\n", text[: found.start()])) + 1
        raise YamlError(f"line {line}: the character U+{ord(found[0]):04X}, which cannot be seen: remove it")
    return _Parser(text, older).document()


class _Parser:
    """Builds nodes from PyYAML's events, so that nothing is followed, converted or made before it is checked."""

    def __init__(self, text: str, older: bool) -> None:
        self._loader: Any = yaml.SafeLoader(text)
        self._older = older
        self._twice: list[str] = []
        self._values = 0

    def document(self) -> Node | None:
        """All of the text."""
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if (event.version not in (None, (1, 2)) or event.tags) and not self._older:
            raise YamlError(f"{_at(event)}a directive (%YAML, %TAG): leave it out; YAML 1.2's rules hold")
        root = self._node(self._next(), (), 1)
        self._next()  # the document's end
        if isinstance(event := self._next(), yaml.DocumentStartEvent):
            raise YamlError(f"{_at(event)}a second document begins (---): a file holds one, remove the other")
        if self._twice:
            raise YamlError("; ".join(self._twice[:MOST_SHOWN]))
        return root

    def _next(self) -> Any:
        try:
            return self._loader.get_event()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}: " if mark is not None else ""
            found = error.problem or str(error)
            advice = next((f"; {advice}" for words, advice in ADVICE if words in found), "")
            raise YamlError(f"{where}this is no YAML: {found}{advice}") from None
        except (ValueError, OverflowError):  # PyYAML makes numbers of escapes and of a directive's version
            where = f"line {self._loader.line + 1}: "
            raise YamlError(f"{where}this is no YAML: an escape or a version that is no number; leave it out") from None

    def _node(self, event: Any, place: tuple[str, ...], level: int) -> Node:
        self._refuse_what_is_hidden(event)
        line = event.start_mark.line + 1
        self._values += 1
        if self._values > MOST_VALUES:
            raise YamlError(f"line {line}: more than {MOST_VALUES} values stand up to here: this is another file")
        if isinstance(event, yaml.ScalarEvent):
            if found := _UNPRINTABLE.search(event.value):
                raise YamlError(f"line {line}: an escape makes the character U+{ord(found[0]):04X}: leave it out")
            return ScalarNode(event.value, event.style is None, line)
        if level > MOST_LEVELS:
            raise YamlError(f"line {line}: lists and mappings stand more than {MOST_LEVELS} deep in one another")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(line, place, level)
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*place, str(len(items))), level + 1))
        return ListNode(tuple(items), line)

    def _mapping(self, line: int, place: tuple[str, ...], level: int) -> MapNode:
        items: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, here = self._key(event), event.start_mark.line + 1
            below = (*place, key)
            if key in items:
                self._twice.append(f"line {here}: {'.'.join(below)} stands here again, first in line {key_lines[key]}")
            key_lines.setdefault(key, here)
            items.setdefault(key, self._node(self._next(), below, level + 1))
        return MapNode(items, key_lines, line)

    def _key(self, event: Any) -> str:
        self._refuse_what_is_hidden(event)
        if not isinstance(event, yaml.ScalarEvent) or not event.value or _UNPRINTABLE.search(event.value):
            raise YamlError(f"{_at(event)}a key is a word before a colon: no list, no mapping, and not nothing")
        if event.value == MERGE_KEY and event.style is None:
            raise YamlError(f"{_at(event)}a merge key ({MERGE_KEY}): write the keys here instead")
        return str(event.value)

    def _refuse_what_is_hidden(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise YamlError(f"{_at(event)}an alias (*name) is used: write the value again instead, or quote it")
        if self._older:
            return
        if event.anchor is not None:
            raise YamlError(f"{_at(event)}an anchor (&name): leave it out, or quote the value if it begins with &")
        if event.tag is not None:
            raise YamlError(f"{_at(event)}a tag (!name): leave it out, or quote the value if it begins with !")


def _at(event: Any) -> str:
    return f"line {event.start_mark.line + 1}: "

"""What is refused before any value is read, each with its line and what to do."""

from __future__ import annotations

import re
import time

import pytest

from edge_runtime.strict_yaml.nodes import ListNode, MapNode, ScalarNode, YamlError, nodes_from_yaml


def refusal(text, older=False):
    with pytest.raises(YamlError) as caught:
        nodes_from_yaml(text, older)
    return str(caught.value)


def test_the_nodes_are_what_is_written_each_with_its_line():
    root = nodes_from_yaml("a: 012\nb:\n  - 'x'\n  - |\n    y\n")
    assert root.items["a"] == ScalarNode("012", plain=True, line=1)
    assert root.items["b"] == ListNode((ScalarNode("x", False, 3), ScalarNode("y\n", False, 4)), 3)
    assert root.key_lines == {"a": 1, "b": 2}


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "\ufeff", "\ufeff# a comment"])
def test_an_empty_text_has_no_root(text):
    assert nodes_from_yaml(text) is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system_and_are_counted_alike(end):
    root = nodes_from_yaml(f"a: 1{end}b: 2{end}")
    assert root.items == {"a": ScalarNode("1", True, 1), "b": ScalarNode("2", True, 2)}


@pytest.mark.parametrize("text", ["\ufeffa: 1\n", "---\na: 1\n", "%YAML 1.2\n---\na: 1\n", "a: 1\n...\n", "? a\n: 1\n"])
def test_a_byte_order_mark_and_the_marks_of_one_document_change_nothing(text):
    root = nodes_from_yaml(text)
    assert isinstance(root, MapNode)
    assert list(root.items) == ["a"]


BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "line 2: a stands here again, first in line 1"),
        ("a: 1\nb: {c: 1,\n  c: 2}\na: 3\n", "line 3: b.c stands here again, first in line 2; line 4: a stands here"),
        ("a: 1\n'a': 2\n", "line 2: a stands here again, first in line 1"),
        ("a: 1\n<<: {b: 2}\n", "line 2: a merge key (<<): write the keys here instead"),
        ("a: &x 1\nb: *x\n", "line 1: an anchor (&name): leave it out, or quote the value if it begins with &"),
        ("a: &admin\n", "line 1: an anchor (&name): leave it out, or quote the value if it begins with &"),
        ("a: 1\nb: *x\n", "line 2: an alias (*name) is used: write the value again instead, or quote it"),
        (BILLION_LAUGHS, "line 1: an anchor (&name): leave it out"),
        ("a: !!float abc\n", "line 1: a tag (!name): leave it out, or quote the value if it begins with !"),
        ("a: !!python/object/apply:os.system ['true']\n", "line 1: a tag (!name): leave it out"),
        ("a: 1\nb: !!binary '@@@@'\n", "line 2: a tag (!name): leave it out"),
        ("a: !secret x\n", "line 1: a tag (!name): leave it out"),
        ("!!map {a: 1}\n", "line 1: a tag (!name): leave it out"),
        ("a: !!set {b, c}\n", "line 1: a tag (!name): leave it out"),
        ("%YAML 1.1\n---\na: 1\n", "line 1: a directive (%YAML, %TAG): leave it out; YAML 1.2's rules hold"),
        ("%TAG ! tag:example.org,2000:\n---\na: 1\n", "line 1: a directive (%YAML, %TAG): leave it out"),
        ("a: 1\n---\nb: 2\n", "line 2: a second document begins (---): a file holds one, remove the other"),
        ("? [a, b]\n: c\n", "line 1: a key is a word before a colon: no list, no mapping, and not nothing"),
        ("a: 1\n? {a: b}\n: c\n", "line 2: a key is a word before a colon"),
        ("'': 1\n", "line 1: a key is a word before a colon"),
        ("a: " + "[" * 10_000, "line 1: lists and mappings stand more than 20 deep in one another"),
        ("a: " + "{a: " * 10_000, "line 1: lists and mappings stand more than 20 deep in one another"),
        ("a:\n" + "".join(f"{' ' * n}- \n" for n in range(1, 200)), "stand more than 20 deep in one another"),
        ("a: [" + "1, " * 10_000 + "1]", "line 1: more than 5000 values stand up to here: this is another file"),
        ("a: 1\n\tb: 2\n", "line 2: this is no YAML: found character '\\t' that cannot start any token; a tab stands"),
        ("a: 1\t# why\n", "line 1: this is no YAML: found character '\\t'"),
        ("a: 1\nb: [1\n", "line 3: this is no YAML: expected ',' or ']', but got '<stream end>'; a bracket that is"),
        ("a: 'it's'\n", "line 1: this is no YAML: expected <block end>, but found '<scalar>'; check how far this line"),
        ("a: \"x\n", "line 2: this is no YAML: found unexpected end of stream; a quote that is opened before is not c"),
        ('a: "C:\\data"\n', "line 1: this is no YAML: found unknown escape character 'd'; in double quotes \\ begins"),
        ('a: "C:\\x"\n', "line 1: this is no YAML: expected escape sequence of 2 hexadecimal numbers, but found '\"';"),
        ("a: @home\n", "line 1: this is no YAML: found character '@' that cannot start any token; put the value in q"),
        ("a: %d\n", "line 1: this is no YAML: found character '%' that cannot start any token; put the value in"),
        ("a: b: c\n", "line 1: this is no YAML: mapping values are not allowed here; put the value in quotes if the"),
        ("  a: 1\n b: 2\n", "line 2: this is no YAML: expected '<document start>', but found '<block mapping start>'"),
        ("a: - b\n", "line 1: this is no YAML: sequence entries are not allowed here; a list begins below its key"),
        ("a: 1\nb\nc: 1\n", "line 3: this is no YAML: could not find expected ':'; each line is `key: value`, with"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", "line 1: this is no YAML: an escape or a version that is no nu"),
        ('a: "\\UFFFFFFFF"\n', "line 1: this is no YAML: an escape or a version that is no number; leave it out"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_with_its_line_and_what_to_do(text, says):
    began = time.monotonic()
    assert says in refusal(text)
    assert time.monotonic() - began < 10  # seconds; whoever writes the file does not decide how long it takes


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe"])
def test_a_character_that_cannot_be_seen_is_named(character):
    name = f"U+{ord(character):04X}"
    assert refusal(f"a: 1\r\nb: x{character}y\n") == f"line 2: the character {name}, which cannot be seen: remove it"
    assert refusal(f"a: 1\n# {character}\n").startswith(f"line 2: the character {name}")


@pytest.mark.parametrize("escape", ["\\0", "\\a", "\\e", "\\x7f", "\\ud800", "\\udcff", "\\N", "\\L", "\\P"])
def test_neither_can_an_escape_make_one(escape):
    assert re.match(
        r"line 2: an escape makes the character U\+[0-9A-F]{4}: leave it out", refusal(f'a: 1\nb: "x{escape}"\n')
    )
    assert "line 1: a key is a word before a colon" in refusal(f'"x{escape}": 1\n')


def test_texts_of_several_lines_and_of_any_script_are_read():
    root = nodes_from_yaml('a: "Prüfling 7 😀 \\t\\n"\nb: |\n  one\n  two\n')
    assert root.items["a"].text == "Prüfling 7 😀 \t\n"
    assert root.items["b"].text == "one\ntwo\n"


@pytest.mark.parametrize("text", ["a: &x 1\n", "a: !!str 1\n", "%YAML 1.1\n---\na: 1\n"])
def test_a_text_that_an_earlier_version_took_is_read_as_that_one_did(text):
    assert nodes_from_yaml(text, older=True).items["a"].text == "1"


def test_aliases_were_never_read():
    assert "line 2: an alias (*name)" in refusal("a: &x 1\nb: *x\n", older=True)

"""A file becomes a model: what is written is the value, and what is wrong is said in its writer's words."""

from __future__ import annotations

import os
import threading
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from edge_runtime.config.station import Station
from edge_runtime.errors import ConfigError
from edge_runtime.strict_yaml.model import model_from_text, model_from_yaml
from edge_runtime.strict_yaml.values import as_written

ADVICE = "`program init` writes one"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Colour(str, Enum):
    RED = "red"


class Inner(Strict):
    port: Annotated[int, Field(ge=1)] | None = None
    host: str = "h"


class Thing(Strict):
    """A key of every type that stations and recipes have."""

    text: str = "t"
    maybe: str | None = None
    word: Literal["3.1.1", "5", "no"] = "5"
    colour: Annotated[Colour, Field(strict=False)] = Colour.RED
    path: Annotated[Path, Field(strict=False)] = Path("p")
    count: int = 0
    share: float = 0.5
    flag: bool = False
    angle: Literal[0, 90] = 0
    either: int | float | None = None
    sizes: tuple[int, int] | None = None
    names: tuple[Literal["a", "no"], ...] = ()
    features: dict[str, str | int | float | bool] = {}
    folds: int = Field(default=2, ge=2, description="how many; allowed: a whole number, 2 or more")
    inner: Inner = Inner()


def read(text, older=False):
    return model_from_text(text, Path("thing.yaml"), Thing, ADVICE, older)


def problem(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.exit_code == 78
    return str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "012",
        "0o12",
        "1:30",
        "on",
        "no",
        "Yes",
        "true",
        "1.10",
        "1e3",
        "2001-99-99",
        "1_0",
        "0x1F",
        "1",
        "9" * 5000,
        "<<",
    ],
)
def test_where_text_is_wanted_what_is_written_is_the_value(written):
    assert read(f"text: {written}").text == written
    assert read(f"maybe: {written}").maybe == written
    assert read(f"inner: {{host: {written}}}").inner.host == written
    assert read(f"path: {written}").path == Path(written)
    assert read(f"text: '{written}'").text == written


def test_words_that_look_like_something_else_are_words():
    found = read("word: 5\nnames: [no, a]\n")
    assert (found.word, found.names) == ("5", ("no", "a"))
    assert read("word: no").word == "no"


@pytest.mark.parametrize("written", ["", "~", "null", "NULL"])
def test_nothing_is_nothing_where_that_is_allowed_and_refused_where_not(written):
    assert read(f"maybe: {written}").maybe is None
    assert "line 1, text: found nothing: must be a valid string" in problem(f"text: {written}")


def test_quotes_make_text_which_is_no_number_and_no_boolean():
    assert read("maybe: 'null'").maybe == "null"
    assert "line 1, count: found '5': must be a valid integer" in problem("count: '5'")
    assert "line 1, flag: found 'true': must be a valid boolean" in problem("flag: 'true'")


def test_numbers_and_booleans_are_those_of_yaml_1_2():
    found = read("count: -5\nshare: 1e-2\nflag: true\nangle: 90\neither: .5\nsizes: [64, 128]\n")
    assert (found.count, found.share, found.flag, found.angle, found.either) == (-5, 0.01, True, 90, 0.5)
    assert found.sizes == (64, 128)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("count: 012", "count: found 012: write it without leading zeros: 12"),
        ("count: 0o12", "count: found 0o12: write it as a decimal number: 10"),
        ("count: 1:30", "count: found 1:30: write one number, without colons"),
        ("count: 1_000", "count: found 1_000: write it without _: 1000"),
        ("count: " + "9" * 5000, f"count: found {'9' * 57}...: a whole number has 18 digits at most, this has 5000"),
        ("count: 1e3", "count: found 1000.0: must be a valid integer"),
        ("count: on", "count: found 'on': must be a valid integer"),
        ("count: 2001-99-99", "count: found '2001-99-99': must be a valid integer"),
        ("share: 1,5", "share: found 1,5: write it with a point: 1.5"),
        ("share: 1e999", "share: found 1e999: the number is too large"),
        ("share: .nan", "share: found nan: must be a finite number"),
        ("flag: on", "flag: found on: write true"),
        ("flag: No", "flag: found No: write false"),
        ("flag: y", "flag: found y: write true"),
        ("flag: maybe", "flag: found 'maybe': must be a valid boolean"),
        ("angle: 090", "angle: found 090: write it without leading zeros: 90"),
        ("sizes: [064, 1]", "sizes.0: found 064: write it without leading zeros: 64"),
        ("either: 010", "either: found 010: write it without leading zeros: 10"),
        ("inner: {port: 01883}", "inner.port: found 01883: write it without leading zeros: 1883"),
        ("features: {Gain: 010}", "features.Gain: found 010: write it without leading zeros: 10; if it is text, put"),
        ("features: {Gain: [1]}", "features.Gain: found ['1']: must be a valid string or a valid integer or a valid"),
        ("folds: 1", "folds: found 1; allowed: a whole number, 2 or more"),
        ("inner: 3", "inner: found 3; allowed: the keys port, host"),
        ("inner: []", "inner: found []; allowed: the keys port, host"),
        ("colour: blue", "colour: found 'blue': must be 'red'"),
    ],
)
def test_a_value_that_is_not_read_is_reported_with_its_line_and_what_to_write(line, says):
    assert f"thing.yaml does not describe a thing:\n  line 2, {says}" in problem(f"# a comment\n{line}\n")


def test_in_a_place_for_anything_words_are_text_and_numbers_numbers():
    features = read("features: {A: Off, B: 5, C: 0.5, D: true, E: '5'}").features
    assert features == {"A": "Off", "B": 5, "C": 0.5, "D": True, "E": "5"}


def test_all_problems_come_at_once_in_the_order_of_the_file_and_no_more_than_can_be_read():
    text = problem("flag: on\ncount: 012\nnone: 1\n" + "".join(f"k{n}: 1\n" for n in range(100)))
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines[1:4]] == ["  line 1, flag", "  line 2, count", "  line 3, none"]
    assert (len(lines), lines[-1]) == (52, "  and 53 more")


def test_the_value_of_an_unknown_key_is_not_repeated():
    text = problem("passwort: 0815\nhosst: hunter2\ninner: {pasword: [hunter2]}\n")
    assert "hunter2" not in text
    assert "0815" not in text


def test_a_long_value_is_shortened():
    assert len(problem(f"count: {'x' * 100_000}")) < 200


def test_what_a_bundle_of_an_earlier_version_holds_is_read_as_that_one_did():
    assert read("count: 007\nsizes: [064, 0128]\n", older=True).sizes == (64, 128)
    with pytest.raises(ConfigError, match="found 1:30: write one number"):
        read("count: 1:30", older=True)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "hello", "- a\n- b", "line:x"])
def test_a_file_without_keys_is_refused(text):
    assert problem(text) == f"thing.yaml holds no keys; {ADVICE}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"text: a\ncount: \xff\n", r"is not UTF-8 text \(line 2, byte 15\): save it as UTF-8"),
        (b"text: a # \xed\xa0\x80\n", r"is not UTF-8 text \(line 1, byte 10\)"),
        ("text: a\n".encode("utf-16"), r"is not UTF-8 text \(line 1, byte 0\)"),
        (b"text: a\n\0", r": line 2: the character U\+0000"),
        (b"# " + b"x" * 20_000_000, "has more than 256000 bytes: this is another file; `program init` writes one"),
    ],
)
def test_bytes_that_are_no_such_text_are_refused(tmp_path, content, says):
    path = tmp_path / "thing.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"thing.yaml{' ' * (says[0] != ':')}{says}"):
        model_from_yaml(path, Thing, ADVICE)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "thing.yaml").write_bytes(b"\xef\xbb\xbfcount: 5\r\nflag: true\r\n")
    assert model_from_yaml(tmp_path / "thing.yaml", Thing, ADVICE).count == 5


@pytest.mark.parametrize(("name", "reason"), [("none.yaml", "No such file or directory"), ("", "Is a directory")])
def test_what_cannot_be_read_is_named_with_its_reason(tmp_path, name, reason):
    with pytest.raises(ConfigError, match=f"cannot be read: {reason}; check the path and the rights; {ADVICE}"):
        model_from_yaml(tmp_path / name, Thing, ADVICE)


def test_a_file_without_an_end_ends():
    with pytest.raises(ConfigError, match="/dev/zero has more than 256000 bytes"):
        model_from_yaml(Path("/dev/zero"), Thing, ADVICE)


def test_a_pipe_is_read_like_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("count: 5\n",))
    writer.start()
    assert model_from_yaml(tmp_path / "pipe", Thing, ADVICE).count == 5
    writer.join()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "nothing"), (True, "true"), (3, "3"), (0.5, "0.5"), ("3", "'3'"), ((1, "a"), "[1, 'a']"), ({}, "no keys")],
)
def test_values_are_shown_as_yaml_has_them(value, text):
    assert as_written(value) == text


def test_a_station_is_read_so(tmp_path):
    path = tmp_path / "station.yaml"
    path.write_text("line: on\ncell: 012\nbundle: b\nsource: {uri: folder://p}\nstate_dir: 1:30\nmqtt: {host: 1:30}\n")
    station = model_from_yaml(path, Station, ADVICE)
    assert (station.line, station.cell, station.mqtt.host, station.state_dir) == ("on", "012", "1:30", Path("1:30"))

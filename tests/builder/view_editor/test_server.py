"""The editor's server: who is answered, what a view that is not allowed gets, and what is saved."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from tests.support.drawn_parts import Pose, bolt, draw, write_pictures

from edge_build.progress import SilentProgress
from edge_build.recipe.recipe import read_recipe
from edge_build.view_editor.server import HEADERS, MOST_BYTES, EditorServer
from edge_build.view_editor.session import EditSession
from edge_runtime.errors import ConfigError

RECIPE = """\
# screws of line 2
name: bolts
version: "1"
dataset: bolts
size: 128
view:
  region: null  # drawn by hand
  pose: fixed
"""
FIXED = {"region": None, "pose": "fixed", "margin": 0.05, "ignore": None}


class Page:
    """What a browser would send."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.base = urlsplit(url).path

    def send(self, method: str, path: str, content: object = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        usual = {"Host": self.host, **({"Origin": f"http://{self.host}"} if method == "POST" else {})}
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, usual | headers)
        answer = connection.getresponse()
        found = answer.status, answer.read(), dict(answer.getheaders())
        connection.close()
        return found

    def get(self, path: str) -> bytes:
        status, content, _ = self.send("GET", self.base + path)
        assert status == 200, content
        return content

    def post(self, path: str, content: object) -> tuple[int, dict]:
        status, answer, _ = self.send("POST", self.base + path, content)
        return status, json.loads(answer)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "bolts", lambda random: draw(bolt(), Pose(200, 160), random), 4)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def server(recipe: Path) -> Iterator[EditorServer]:
    with EditorServer(EditSession(recipe, SilentProgress())) as server:
        yield server


@pytest.fixture
def page(server: EditorServer) -> Page:
    return Page(server.url)


def test_the_page_needs_no_other_host_and_every_answer_says_so(page):
    for path, word in (("", b"<svg"), ("editor.js", b"propose"), ("areas.js", b"drag"), ("editor.css", b"svg")):
        status, content, headers = page.send("GET", page.base + path)
        assert status == 200
        assert word in content
        assert HEADERS.items() <= headers.items()
        assert b"http://" not in content.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in content


def test_the_recipe_and_its_pictures_are_shown(page):
    state = json.loads(page.get("state"))
    assert state["view"] == FIXED
    assert state["name"] == "bolts-1"
    assert [(one["width"], one["height"]) for one in state["pictures"]] == [(400, 320)] * 4
    frame = cv2.imdecode(np.frombuffer(page.get("frame/1"), np.uint8), cv2.IMREAD_COLOR)
    assert frame.shape == (320, 400, 3)


def test_a_view_is_proposed_with_its_outline_and_pictures(page):
    status, first = page.post("propose", FIXED)
    assert status == 200
    status, found = page.post("propose", FIXED | {"region": [100, 80, 200, 160]})
    assert status == 200
    assert (found["width"], found["height"]) == (128, 128)
    assert found["pictures"][0]["outline"] == [[99.5, 79.5], [299.5, 79.5], [299.5, 239.5], [99.5, 239.5]]
    seen = cv2.imdecode(np.frombuffer(page.get(f"seen/{found['number']}/0"), np.uint8), cv2.IMREAD_COLOR)
    assert seen.shape == (128, 128, 3)
    status, content, _ = page.send("GET", f"{page.base}seen/{first['number']}/0")
    assert status == 410
    assert b"was replaced" in content


def test_a_region_that_is_squeezed_gets_advice(page):
    _, found = page.post("propose", FIXED | {"region": [0, 100, 400, 80]})
    assert found["advice"] == "128 x 128 squeezes what it shows: `size: [64, 256]` keeps its shape"
    _, found = page.post("propose", FIXED | {"region": [0, 0, 320, 320]})
    assert found["advice"] == ""


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pose": "sideways"}, "view.pose: found 'sideways'; allowed: auto, fixed, shift, axis, template, ring"),
        ({"margin": 2}, "view.margin: found 2; allowed: 0 to 1"),
        ({"margin": None}, "view.margin: found nothing; allowed: 0 to 1"),
        ({"region": [0, 0, 0, 5]}, "view.region: found [0, 0, 0, 5]; allowed: null for everything, or four numbers"),
        ({"ignore": [[[0, 0], [1, 1]]]}, "view.ignore: found [[[0, 0], [1, 1]]]; allowed: null, polygons or a path"),
        ({"size": 3}, "view.size: found 3"),
        ({"region": [300, 0, 200, 100]}, "does not lie within the good pictures, which are 400 x 320 pixels"),
        ({"ignore": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, "view.ignore covers the whole view"),
    ],
)
@pytest.mark.parametrize("path", ["propose", "save"])
def test_a_view_that_is_not_allowed_is_refused_in_words_and_nothing_is_saved(page, recipe, path, changed, message):
    status, found = page.post(path, FIXED | changed)
    assert status == 422
    assert len(found["problems"]) == 1
    assert message in found["problems"][0]
    assert recipe.read_text() == RECIPE


def test_what_is_no_json_is_refused(page):
    status, content, _ = page.send("POST", page.base + "propose", None, **{"Content-Length": "0"})
    assert status == 422
    assert b"Invalid JSON" in content


def test_saving_writes_the_recipe_and_ends(server, page, recipe):
    recipe.chmod(0o640)
    changed: list[tuple[str, ...] | None] = []
    waiting = Thread(target=lambda: changed.append(server.wait()))
    waiting.start()
    area = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.5]]
    status, found = page.post("save", FIXED | {"region": [100, 80, 200, 160], "ignore": [area]})
    assert (status, found) == (200, {"changed": ["region", "ignore"]})
    waiting.join(5)
    assert changed == [("region", "ignore")]
    view = read_recipe(recipe).view
    assert view.region == (100, 80, 200, 160)
    assert view.ignore == (tuple(tuple(point) for point in area),)
    assert "region: [100, 80, 200, 160]  # drawn by hand" in recipe.read_text()
    assert recipe.read_text().startswith("# screws of line 2")
    assert recipe.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in recipe.parent.iterdir() if path.name.startswith(".")] == []


def test_a_recipe_that_others_changed_meanwhile_is_not_written_over(page, recipe):
    recipe.write_text(RECIPE + "seed: 5\n")
    status, found = page.post("save", FIXED | {"region": [100, 80, 200, 160]})
    assert status == 422
    assert "was changed by another program since this page was opened: nothing is saved" in found["problems"][0]
    assert recipe.read_text() == RECIPE + "seed: 5\n"


def test_leaving_ends_it_and_writes_nothing(server, page, recipe):
    assert page.post("close", {}) == (200, {})
    assert server.wait() is None
    assert recipe.read_text() == RECIPE


def test_nobody_is_answered_without_the_token(page):
    for path in ("/", "/state", "/x/state", f"{page.base[:-2]}/state"):
        status, content, _ = page.send("GET", path)
        assert status == 404
        assert b"open the URL that edge-build printed" in content


def test_another_name_for_this_host_is_refused(page):
    status, content, _ = page.send("GET", page.base, Host="evil.example")
    assert status == 403
    assert b"127.0.0.1 alone" in content


@pytest.mark.parametrize("origin", ["http://evil.example", "null", ""])
def test_another_sites_page_may_not_save(page, recipe, origin):
    status, content, _ = page.send("POST", page.base + "save", FIXED | {"pose": "shift"}, Origin=origin)
    assert status == 403
    assert b"only the page itself" in content
    assert recipe.read_text() == RECIPE


def test_more_than_a_view_is_not_read(page):
    status, content, _ = page.send("POST", page.base + "propose", "x" * (MOST_BYTES + 1))
    assert status == 413
    assert b"at most" in content


@pytest.mark.parametrize(
    "path", ["../server.py", "frame/99", "frame/-1", "frame/", "frame/%C2%B2", "seen/1", "nothing", "frame/1/2"]
)
def test_what_is_not_there_is_not_found(page, path):
    status, content, _ = page.send("GET", page.base + path)
    assert status == 404
    assert json.loads(content)["problems"]


def test_it_listens_on_this_machine_alone(server):
    assert server.url.startswith("http://127.0.0.1:")
    assert len(urlsplit(server.url).path) > 30


def test_a_recipe_that_no_build_would_take_is_refused_before_a_page_is_served(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: bolts\n")
    with pytest.raises(ConfigError, match="does not describe a recipe"):
        EditSession(tmp_path / "recipe.yaml", SilentProgress())

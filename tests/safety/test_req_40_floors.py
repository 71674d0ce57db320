"""Requirement 40: the packages are not older than what mends their known holes."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {  # below these, an advisory is open that this program's use of the package meets
    "gradio": "6.31",  # the endless range answer; open redirect, proxies, uploads before
    "torch": "2.10",  # CVE-2026-24747
    "transformers": "5.10",  # CVE-2026-4372, CVE-2026-5241, CVE-2026-9856
    "peft": "0.21.2",  # imports named in a configuration
    "pillow": "12.3.0",  # bombs and overruns in decoders
    "brotli": "1.2.1",  # CVE-2026-111497
    "jinja2": "3.1.6",
    "safetensors": "0.8",
    "faiss-cpu": "1.15",
}


BELOW = {  # packages that come along: the version that mends a published hole
    "starlette": ("0.49.1", "CVE-2025-62727"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "urllib3": ("2.6.0", "CVE-2025-66418"),
    "python-multipart": ("0.0.18", "CVE-2024-53981"),
    "pydantic": ("2.4.0", "CVE-2024-3772"),
    "idna": ("3.7", "CVE-2024-3651"),
    "fonttools": ("4.60.2", "CVE-2025-66034"),
    "filelock": ("3.20.1", "CVE-2025-68146"),
    "tqdm": ("4.66.3", "CVE-2024-34062"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
}


def required():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {r.name.lower(): r for r in map(Requirement, filter(None, lines))}


@pytest.mark.parametrize("name", FLOORS)
def test_requirements_refuse_what_has_known_holes(name):
    wanted = required()
    assert name in wanted, f"{name} has no floor in requirements.txt"
    floor = Version(FLOORS[name])
    below = [Version(f"{floor.major}.{max(floor.minor - 1, 0)}.99"), Version("0.0.1")]
    assert not any(v in wanted[name].specifier for v in below if v < floor)
    assert Version(importlib.metadata.version(name)) >= floor


@pytest.mark.parametrize("name", BELOW)
def test_req_40_what_is_installed_has_no_stored_advisory(name):
    """A list kept by hand: it knows what it knows, and is read again with each release."""
    try:
        there = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    floor, advisory = BELOW[name]
    assert Version(there) >= Version(floor), f"{advisory} is open in {name} {there}"


def test_python_is_one_whose_zip_reader_sees_overlaps():
    assert sys.version_info >= (3, 11)  # entries that overlap are refused by this program itself
    assert re.search(r'requires-python = ">=3\.11"', (ROOT / "pyproject.toml").read_text())


def test_the_package_that_runs_kernels_from_a_hub_is_not_asked_for():
    assert "kernels" not in required()

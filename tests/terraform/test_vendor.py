"""Facts about tools/vendor.py: what it leaves out of upstream's manifests, and what it sets in them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def vendor() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vendor", ROOT / "tools" / "vendor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["vendor"] = module
    spec.loader.exec_module(module)
    return module


def test_prose_goes_and_properties_stay(vendor: ModuleType) -> None:
    """A description of a CRD's schema is left out, a property that is called description is not."""
    schema = {"description": "x", "properties": {"description": {"type": "string", "description": "y"}}, "items": [{"description": "z"}]}
    crd: dict[str, Any] = {"kind": "CustomResourceDefinition", "spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}, {"name": "v2"}]}}
    vendor.shorten(crd)
    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {"properties": {"description": {"type": "string"}}, "items": [{}]}
    other = {"kind": "ConfigMap", "description": "kept"}
    vendor.shorten(other)
    assert other == {"kind": "ConfigMap", "description": "kept"}


def test_images_are_set_by_name(vendor: ModuleType) -> None:
    """Whatever tag upstream's sources have, the release's image takes its place, in every container; other images stay."""
    pods = [{"containers": [{"image": "a/b:latest"}, {"image": "c:1"}], "initContainers": [{"image": "a/b"}]}]
    vendor.pin(pods, {"a/b": "a/b:v1"})
    assert pods == [{"containers": [{"image": "a/b:v1"}, {"image": "c:1"}], "initContainers": [{"image": "a/b:v1"}]}]


def test_every_folder_of_vendor_has_a_source(vendor: ModuleType) -> None:
    """deploy/vendor holds what the tool writes and nothing else."""
    assert {path.name for path in (ROOT / "deploy" / "vendor").iterdir()} == set(vendor.SOURCES)

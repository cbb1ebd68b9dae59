"""In: the text of Terraform files. Out: their blocks with a few attributes, for rules that need no Terraform."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = ROOT / "terraform"
EXAMPLES = sorted((TERRAFORM / "examples").iterdir())
MODULES = sorted((TERRAFORM / "modules").iterdir())
BLOCK = re.compile(r'^(variable|output) "([a-z0-9_]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def blocks(folder: Path, kind: str) -> dict[str, str]:
    """The bodies of a folder's variables or outputs by name."""
    found = {}
    for path in sorted(folder.glob("*.tf")):
        found.update({name: body for each, name, body in BLOCK.findall(path.read_text(encoding="utf-8")) if each == kind})
    return found


def defaults(folder: Path) -> dict[str, str]:
    """The one-line defaults of a folder's variables, as they are written."""
    lines = {name: re.search(r"^  default\s+= (.*)$", body, re.MULTILINE) for name, body in blocks(folder, "variable").items()}
    return {name: match[1] for name, match in lines.items() if match}

"""In: every diagnostic code that flowc declares. Out: docs/diagnostics/, a page a code and an index; with --check, what is stale."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "diagnostics"


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    sys.path.insert(0, str(ROOT))
    from flowc.commands.session import known_codes
    from flowc.diagnostics import REGISTRY
    from flowc.report.page import index, page

    codes = [REGISTRY[code] for code in sorted(known_codes())]
    return {"README.md": index(codes), **{f"{code.id}.md": page(code) for code in codes}}


def differences(wanted: dict[str, str]) -> list[str]:
    """The pages that are missing, outdated, or of no code any more."""
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def main() -> int:
    wanted = pages()
    stale = differences(wanted)
    if "--check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/diagnostics/{name} is not current: run `python tools/docs.py`", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

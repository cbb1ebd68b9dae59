"""In: codes, settings and outputs that flowc declares. Out: docs/diagnostics/, docs/reference.md, ...; or, with --check, what is stale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def pages() -> dict[str, str]:
    """The text of every generated page by its path below docs/."""
    sys.path.insert(0, str(ROOT))
    from flowc.commands import config_show
    from flowc.commands.session import known_codes
    from flowc.diagnostics import REGISTRY
    from flowc.report.page import index, page

    codes = [REGISTRY[code] for code in sorted(known_codes())]
    texts = {"reference.md": settings(), "terraform-outputs.md": outputs(), "diagnostics/README.md": index(codes)}
    texts["../schemas/settings.json"] = json.dumps(config_show.schema(), indent=1) + "\n"
    return texts | {f"diagnostics/{code.id}.md": page(code) for code in codes}


def settings() -> str:
    """The page of all settings: their keys, flags and defaults."""
    from flowc.config import TOPICS
    from flowc.settings import Settings

    parts = [
        "# Every setting",
        "A compile needs none. Each can be a flag of `flowc compile`, `check`, `graph` and `compare`, or a key of `[tool.flowc]` in "
        "pyproject.toml or of flowc.toml, in the flow's folder or the nearest one above it, up to the root of its git repository. A flag "
        "beats the file; in a table, entry by entry. `--settings FILE` names the file, `--isolated` reads none. [settings.md](settings.md) "
        "says more.",
        '```toml\n[tool.flowc]\nimage = "registry.example/flows:1"\nargo-version = "3.7"\n\n[tool.flowc.labels]\nteam = "forecasting"\n```',
    ]
    for topic, options in TOPICS.items():
        rows = ["| Key | Flag | Default | |", "|---|---|---|---|"]
        for option in options:
            default = getattr(Settings(), option.field)
            shown = "" if default in (None, (), {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
            flag = f"{option.flags} {option.metavar}".strip().replace("|", "\\|")
            choices = f" One of {', '.join(option.choices)}." if option.choices else ""
            rows.append(f"| `{option.key}` | {f'`{flag}`' if flag else ''} | {shown} | {option.help}{choices} |")
        parts += [f"## {topic}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def outputs() -> str:
    """The page of the outputs of Terraform that `flowc config import` reads."""
    from flowc.commands.importing import OUTPUTS, PEOPLE
    from flowc.config import OPTIONS

    keys = {option.field: option.key for option in OPTIONS}
    rows = ["| Output | Of | Setting | Manifests | Must be there | |", "|---|---|---|---|---|---|"]
    for output in OUTPUTS:
        setting = f"`{keys[output.setting]}`" if output.setting else ""
        marks = ("yes" if output.manifests else "", "yes" if output.needed else "")
        rows.append(f"| `{output.name}` | {', '.join(output.of)} | {setting} | {' | '.join(marks)} | {output.what} |")
    parts = [
        "# Terraform's outputs",
        "What `terraform output -json | flowc config import -` reads; a root of your own that has these outputs works as the examples do. "
        "`datastore` becomes `s3`. Outputs with \"yes\" under Manifests also go into the two files of `--manifests`: the ConfigMap "
        "`metaflow-config` and the service accounts. [terraform.md](terraform.md) says how they come about.",
        "\n".join(rows),
        f"For people, and read by nothing: {', '.join(f'`{name}`' for name in PEOPLE)}. Any other output is passed over with a note, a "
        "sensitive one too.",
    ]
    return "\n\n".join(parts) + "\n"


def stale(wanted: dict[str, str]) -> list[str]:
    """The pages that are missing, outdated, or of no code any more."""
    there = {f"diagnostics/{path.name}" for path in (DOCS / "diagnostics").glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != _text(DOCS / name))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main() -> int:
    wanted = pages()
    changed = stale(wanted)
    if "--check" in sys.argv[1:]:
        for name in changed:
            print(f"docs/{name} is not current: run `python tools/docs.py`", file=sys.stderr)
        return 1 if changed else 0
    (DOCS / "diagnostics").mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (DOCS / name).write_text(wanted[name], encoding="utf-8")
        else:
            (DOCS / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

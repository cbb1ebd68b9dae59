"""In: flow files as text. Out: what flowc reads of them, and what Metaflow itself makes of them when it imports them."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowc.frontend import Reading, read
from flowc.settings import Settings
from flowc.source import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

_counter = itertools.count()


def reading(files: Mapping[str, str | bytes] | str, *, name: str | None = None, **settings: Any) -> Reading:
    """What flowc reads of flow.py among the files (or of the one text)."""
    texts = {"flow.py": files} if isinstance(files, str) else files

    def reader(path: str) -> bytes | None:
        data = texts.get(path)
        return data.encode() if isinstance(data, str) else data

    text = texts["flow.py"]
    assert isinstance(text, str)
    return read(SourceFile("flow.py", text), reader, Settings(**settings), name)


def codes(found: Reading) -> list[str]:
    return [d.code.id for d in found.diagnostics]


def imported(files: Mapping[str, str | bytes], folder: Path) -> ModuleType:
    """flow.py, imported as Metaflow would import it; the modules beside it are forgotten again."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
    name = f"imported_flow_{next(_counter)}"
    spec = importlib.util.spec_from_file_location(name, folder / "flow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.modules[name] = module
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        for other in set(sys.modules) - before - {name}:
            if not other.startswith("metaflow"):
                del sys.modules[other]
    return module

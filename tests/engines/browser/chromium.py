"""In: npm and node. Out: a real Chromium of one version with two fonts, unpacked once a machine; no root, no apt, no other download."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HOME = Path(os.environ.get("FLOWC_BROWSER_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flowc-browser")
# what npm says of each, `npm view NAME@VERSION dist.integrity`: the same bytes wherever they come from
CHROMIUM = ("@sparticuz/chromium@153.0.0", "sha512-jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==")
FONTS = ("dejavu-fonts-ttf@2.37.3", "sha512-f1hd7jJbeQa1VWcw+K2KrTXS50zTMaHpVC4XIKJpNcDeYR5ajMtj/iLlQDYNvLOKamUB3ARVVCf79lNwNVztSQ==")
UNPACK = """
const zlib = require("zlib"), fs = require("fs");
for (const name of process.argv.slice(1)) fs.writeFileSync(name.slice(0, -3), zlib.brotliDecompressSync(fs.readFileSync(name)));
"""
FONTS_CONF = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{fonts}/cache</cachedir>
  <alias binding="same"><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias binding="same"><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
  <alias binding="same"><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """`program` and the environment and arguments that it needs."""

    program: Path
    environment: dict[str, str]
    arguments: tuple[str, ...] = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--disable-sync",
        "--force-color-profile=srgb",
        "--font-render-hinting=none",
        "--hide-scrollbars",
    )


def chromium() -> Chromium:
    """The browser, fetched where it is not there yet. RuntimeError says what to do where it cannot be had."""
    version = CHROMIUM[0].rpartition("@")[2]
    folder = HOME / f"chromium-{version}-fonts-{FONTS[0].rpartition('@')[2]}"
    if not (folder / "chromium").exists():
        HOME.mkdir(parents=True, exist_ok=True)
        with _alone(), tempfile.TemporaryDirectory(dir=HOME) as made:
            if not (folder / "chromium").exists():
                _build(Path(made))
                shutil.rmtree(folder, ignore_errors=True)
                (Path(made) / "done").rename(folder)
    (folder / "fonts.conf").write_text(FONTS_CONF.format(fonts=folder / "fonts"))
    return Chromium(folder / "chromium", {"FONTCONFIG_FILE": str(folder / "fonts.conf"), "LD_LIBRARY_PATH": str(folder / "lib")})


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time: two workers of pytest may ask at once."""
    import fcntl

    with (HOME / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(place: Path) -> None:
    done = place / "done"
    done.mkdir()
    package = _unpacked(place, *CHROMIUM)
    names = ["chromium.br", "al2023.tar.br", "fonts.tar.br"]
    subprocess.run(["node", "-e", UNPACK, *(str(package / "bin" / name) for name in names)], check=True)
    for name in ("al2023.tar", "fonts.tar"):
        with tarfile.open(package / "bin" / name) as archive:
            archive.extractall(done, filter="data")
    fonts = _unpacked(place, *FONTS)
    for path in sorted((fonts / "ttf").glob("DejaVuSans*.ttf")):
        shutil.copy(path, done / "fonts")
    program = package / "bin" / "chromium"
    program.chmod(0o755)
    program.rename(done / "chromium")


def _unpacked(place: Path, package: str, integrity: str) -> Path:
    """The files of an npm package, whose bytes are those that were pinned."""
    for needed in ("npm", "node"):
        if shutil.which(needed) is None:
            raise RuntimeError(f"{needed} was not found, and Chromium comes from npm's registry: install Node.js 18 or newer")
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm pack {package} failed; does npm reach its registry?\n{done.stderr}")
    archive = place / done.stdout.split()[-1]
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        raise RuntimeError(f"{package} is not what was pinned: its bytes are {found}, not {integrity}")
    folder = place / archive.name.removesuffix(".tgz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder / "package"


if __name__ == "__main__":
    found = chromium()
    sys.stdout.write(f"{found.program}\n")

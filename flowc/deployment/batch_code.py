"""In: a Flow and Settings. Out: the bootstrap and the flow's code as one text in a job's environment, and the command that unpacks it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example
from flowc.runtime import bootstrap_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowc.ir import Flow
    from flowc.settings import Settings

VARIABLE = "FLOWC_ARCHIVE"
LOADER = f'import base64,bz2,os;exec(bz2.decompress(base64.b64decode(os.environ["{VARIABLE}"])))'
"""What Python runs in the container: the program that the variable holds. No shell, and no text of the user, is part of it."""

DEFINITION_LIMIT = 24 * 1024
"""Bytes that AWS Batch takes for a job definition."""
RESERVE = 512
"""Bytes of a job definition kept free for what only the deployment knows: ARNs, bucket, image."""

# What stands in the archive before the files: writes them to a folder, and runs the bootstrap there as the program.
# The nodes of a multi-node job get the variables that the pods of a JobSet have; without AWS_BATCH_JOB_NUM_NODES Metaflow's
# @batch leaves the numbering of the tasks to the bootstrap.
UNPACK = """\
import base64, json, os, runpy, shutil, socket, sys, tempfile
env = os.environ
del env["FLOWC_ARCHIVE"]
place = tempfile.mkdtemp(prefix="flowc-", dir=env.get("FLOWC_WORK") or None)
for path, kind, text in FILES:
    path = os.path.join(place, *path.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(base64.b64decode(text) if kind else text.encode())
env.setdefault("FLOWC_CODE", os.path.join(place, "code"))
while sys.argv[1].startswith("FLOWC_"):  # a job's parameters, which replace whole words of the command
    env.update([(sys.argv.pop(1), sys.argv.pop(1))])
nodes = env.pop("AWS_BATCH_JOB_NUM_NODES", None)
if nodes:
    node = int(env["AWS_BATCH_JOB_NODE_INDEX"])
    env.update({"MF_WORKER_REPLICA_INDEX": str(node - 1)} if node else {"MF_CONTROL_INDEX": "0"}, MF_WORLD_SIZE=nodes)
    main = env.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") or socket.gethostbyname_ex(socket.gethostname())[2][0]
    env.setdefault("MF_MASTER_ADDR", main)
sys.argv[0] = os.path.join(place, "boot.py")
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    shutil.rmtree(place, ignore_errors=True)
"""

BASE = sample()
# hexadecimal digits that follow no rule, so that they do not become smaller
_NOISE = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(800))
TOO_BIG = Code(
    "FC476",
    "the code is too big for a job definition",
    "Embedded code travels in the job definition, compressed, and AWS Batch takes 24 KiB for all of it.",
    bad=Example({"flow.py": BASE + f"\n\nTABLE = '{_NOISE}'\n"}, target="step-functions"),
    good=Example({"flow.py": BASE}, target="step-functions"),
)


def archive(flow: Flow, settings: Settings) -> str:
    """The value of VARIABLE: base64 of bz2 (whose bytes no version of libbz2 has changed) of a program that holds all files.

    `code` = image: the bootstrap alone, and the flow is where FLOWC_CODE says.
    """
    import bz2

    listed = [[path, *_entry(data)] for path, data in files(flow, settings).items()]
    program = f"FILES = {listed!a}\n{UNPACK}"
    return base64.b64encode(bz2.compress(program.encode(), 9)).decode()


def files(flow: Flow, settings: Settings) -> dict[str, bytes]:
    """Every file by its path in the archive."""
    found = {"boot.py": bootstrap_text().encode()}
    if settings.code == "image":
        return found
    name = flow.source.path.rsplit("/", 1)[-1]
    found.update({f"code/{path}": text.encode() for path, text in [(name, flow.source.text), *((m.path, m.text) for m in flow.modules)]})
    found.update({f"code/{file.path}": file.data for file in flow.files})
    return found


def _entry(data: bytes) -> tuple[int, str]:
    """Text as it is, bytes that are none as base64."""
    try:
        return 0, data.decode()
    except UnicodeDecodeError:
        return 1, base64.b64encode(data).decode()


def too_big(flow: Flow, settings: Settings, total: int, step: str, parts: Mapping[str, int]) -> Diagnostic:
    """FC476 about the job definition of a step, which has `total` bytes; `parts` are the largest texts in it."""
    largest = ", ".join(f"{name} {size:,}" for name, size in sorted(parts.items(), key=lambda item: (-item[1], item[0]))[:3])
    message = f"the job definition of step `{step}` takes {total:,} bytes; AWS Batch takes {DEFINITION_LIMIT:,}"
    sources = sorted(((len(data), path.removeprefix("code/")) for path, data in files(flow, settings).items()), reverse=True)[:3]
    note = f"largest: {largest} (the code of {', '.join(f'{path}: {size:,} bytes' for size, path in sources)}, compressed)"
    span = None if VARIABLE in largest.split(" ")[0] else flow.steps[step].span
    help_ = "bake the code into the image: --code image --code-path /app --image ..."
    if settings.code == "image":
        help_ = "shorten what the step's environment holds, or deliver it as a file of the image"
    return Diagnostic(TOO_BIG, message, span, note=note, help=help_)

"""The way of the code into jobs of AWS Batch, and what is refused of a step for their sake."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from stepfunctions.batch_cases import FLOW, GANG, container_of, flow_of, problems, start_body

from flowc import graph
from flowc.deployment import batch, batch_check, batch_code, batch_values
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# --- the code ----------------------------------------------------------------------------------------------------------


def unpacked(text: str, folder: Path, *words: str, files: Mapping[str, bytes] | None = None, **environment: str) -> Any:
    """Runs the loader on an archive whose bootstrap tells its arguments, its environment and the files that it sees."""
    import bz2

    flow = flow_of(text)
    boot = (
        "import json, os, sys, pathlib\n"
        "code = pathlib.Path(os.environ['FLOWC_CODE'])\n"
        "seen = {str(p.relative_to(code)): p.read_bytes().hex() for p in code.rglob('*') if p.is_file()} if code.is_dir() else None\n"
        "print(json.dumps([sys.argv[1:], dict(os.environ), seen, __name__, os.path.dirname(__file__)]))\n"
        "sys.exit(7)\n"
    )
    listed = {**batch_code.files(flow, Settings()), "boot.py": boot.encode(), **(files or {})}
    program = f"FILES = {[[path, *batch_code._entry(data)] for path, data in listed.items()]!a}\n{batch_code.UNPACK}"
    packed = base64.b64encode(bz2.compress(program.encode())).decode()
    env = {"PATH": os.environ["PATH"], "FLOWC_WORK": str(folder), batch_code.VARIABLE: packed, **environment}
    done = subprocess.run([sys.executable, "-c", batch_code.LOADER, *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert not list(folder.iterdir()), "the folder is removed at the end"
    return json.loads(done.stdout)


def test_the_archive_brings_every_file(tmp_path: Path) -> None:
    """Text of any language and bytes that are no text arrive as they were; the archive itself is gone from the environment."""
    odd = {"code/data/é.bin": b"\xff\x00", "code/empty.py": b"", "code/t.txt": "ñ 😀 ' \" \\ \r\n {{x}} ${y}".encode()}
    text = FLOW.format("")
    words, env, seen, name, _ = unpacked(text, tmp_path, "start", "--first", files=odd)
    assert words == ["start", "--first"]
    assert batch_code.VARIABLE not in env
    assert seen == {"flow.py": text.encode().hex(), **{path.removeprefix("code/"): data.hex() for path, data in odd.items()}}
    assert name == "__main__"


def test_parameters_of_a_job_become_variables(tmp_path: Path) -> None:
    """Words of the command before the step's name are names and values of variables."""
    words, env, *_ = unpacked(FLOW.format(""), tmp_path, "FLOWC_RUN_ID", "r 1", "FLOWC_PATH", "3-0", "work", "--gang")
    assert words == ["work", "--gang"]
    assert (env["FLOWC_RUN_ID"], env["FLOWC_PATH"]) == ("r 1", "3-0")
    flow = flow_of(GANG.format("", 3))
    shape = graph.build(flow)
    command = batch.command(flow, shape, "work", batch.gang_parameters(shape, "work"))
    assert command[3:] == ["FLOWC_RUN_ID", "Ref::run", "work", "--split=start", "--gang"]


@pytest.mark.parametrize(("node", "expected"), [("0", {"MF_CONTROL_INDEX": "0"}), ("2", {"MF_WORKER_REPLICA_INDEX": "1"})])
def test_nodes_get_the_names_of_a_gang(node: str, expected: dict[str, str], tmp_path: Path) -> None:
    """Each node learns its place, the size of the gang and the address of the main node, under the names that the bootstrap reads."""
    given = {"AWS_BATCH_JOB_NUM_NODES": "3", "AWS_BATCH_JOB_NODE_INDEX": node}
    main = {"AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS": "10.0.0.7"} if node != "0" else {}
    _, env, *_ = unpacked(FLOW.format(""), tmp_path, "work", **given, **main)
    assert {k: v for k, v in env.items() if k.startswith("MF_") and k.endswith("INDEX")} == expected
    assert env["MF_WORLD_SIZE"] == "3"
    assert env["MF_MASTER_ADDR"] == (main.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") or env["MF_MASTER_ADDR"])
    assert "AWS_BATCH_JOB_NUM_NODES" not in env


def test_the_image_may_hold_the_code() -> None:
    """With --code image the archive is the bootstrap alone."""
    flow = flow_of(FLOW.format(""))
    settings = Settings(code="image", code_path="/app")
    assert list(batch_code.files(flow, settings)) == ["boot.py"]
    found = {each["name"]: each["value"] for each in container_of(start_body("", code="image", code_path="/app"))["environment"]}
    assert found["FLOWC_CODE"] == "/app"


# --- what is refused ---------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("@kubernetes(cpu=2)", {}, ["FC470"]),
    ("@batch(cpu=0)", {}, ["FC471"]),
    ("@batch(cpu='many')", {}, ["FC471"]),
    ("@batch(memory=3)", {}, ["FC471"]),
    ("@batch(gpu=-1)", {}, ["FC471"]),
    ("@batch(inferentia=1.5)", {}, ["FC471"]),
    ("@batch(shared_memory=0)", {}, ["FC471"]),
    ("@batch(max_swap=-1)", {}, ["FC471"]),
    ("@batch(swappiness=101)", {}, ["FC471"]),
    ("@batch(swappiness=100)", {}, []),
    ("@batch(ephemeral_storage=20)", {"batch_platform": "fargate"}, ["FC471"]),
    ("@batch(image='a b')", {}, ["FC471"]),
    ("@batch(iam_role='jobs')", {}, ["FC471"]),
    ("@batch(queue='a b')", {}, ["FC471"]),
    ("@batch(log_driver='papyrus')", {}, ["FC471"]),
    ("@batch(log_options=['a:b'])", {}, ["FC471"]),
    ("@batch(log_driver='awslogs', log_options=['a'])", {}, ["FC471"]),
    ("@batch(host_volumes=['data'])", {}, ["FC471"]),
    ("@batch(efs_volumes='data')", {}, ["FC471"]),
    ("@environment(vars={'AWS_BATCH_X': '1'})", {}, ["FC471"]),
    ("@environment(vars={'METAFLOW_USER': '1'})", {}, ["FC407"]),
    ("", {"batch_job_role": "jobs"}, ["FC471"]),
    ("@batch(cpu=0.5)", {}, ["FC472"]),
    ("@batch(ephemeral_storage=30)", {}, ["FC472"]),
    *((f"@batch({name})", {"batch_platform": "fargate"}, ["FC472"]) for name in (
        "gpu=1", "shared_memory=9", "max_swap=9", "swappiness=9", "inferentia=1", "efa=1", "host_volumes='/x'", "privileged=True",
        "use_tmpfs=True", "tmpfs_size=9", "log_driver='syslog'")),
    ("@batch(cpu=3)", {"batch_platform": "fargate"}, ["FC473"]),
    ("@batch(memory=4097)", {"batch_platform": "fargate"}, ["FC473"]),
    ("@resources(cpu=4, memory=30720)", {"batch_platform": "fargate"}, []),
    ("", {"code": "image"}, ["FC441"]),
    ("", {"secrets": ("database",), "image_pull_secrets": ("registry",)}, ["FC474", "FC474"]),
    ("", {"code": "image", "code_path": "/app"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("decorators", "values", "codes"), WRONG)
def test_what_is_refused(decorators: str, values: dict[str, Any], codes: list[str]) -> None:
    """Each limit of AWS Batch is said at the decorator that breaks it."""
    found = problems(FLOW.format(f"    {decorators}"), **values)
    assert [code for code, _ in found] == codes
    assert all(line == 5 for _, line in found if decorators)


def test_fargate_has_no_gangs() -> None:
    """A job of several nodes needs EC2."""
    assert problems(GANG.format("", 2), batch_platform="fargate") == [("FC472", 12)]


def test_sizes_of_fargate() -> None:
    """Every pair of the table is taken, what lies beside it is not."""
    for cpu, sizes in batch_values.FARGATE.items():
        assert all(not batch_values.fargate_size(cpu, memory) for memory in sizes)
        assert batch_values.fargate_size(cpu, sizes[0] - 1)
        assert batch_values.fargate_size(cpu, sizes[-1] * 2)
    assert batch_values.fargate_size("3", 6144)


def test_code_that_is_too_big_is_refused_at_the_limit() -> None:
    """The limit is that of the whole definition; the message has the sizes and the other way."""
    noise = batch_code._NOISE
    for length, refused in ((15_000, False), (51_200, True)):
        flow = flow_of(FLOW.format("") + f"\nTABLE = '{noise[:length]}'\n")
        found = batch_check.check(flow, graph.build(flow), Settings())
        assert [d.code.id for d in found] == ["FC476"] * refused
        if found:
            assert "24,576" in found[0].message
            assert "--code image" in found[0].help
            assert "flow.py: 5" in found[0].note
    body = start_body("")
    assert batch.size(body) < batch_code.DEFINITION_LIMIT / 2

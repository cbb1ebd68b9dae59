"""In: a flow file. Out: its whole graph run task by task with bootstrap.py, as a target's engine would, on a datastore in a folder."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import reading

from flowc import runtime
from flowc.deployment.parameters import default_text
from flowc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowc.graph import Graph, Node
    from flowc.ir import Flow

FLOWS: Path = Path(__file__).parent / "flows"
LOCAL = {"METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_DEFAULT_METADATA": "local"}


def clean_environment(root: Path) -> dict[str, str]:
    """What a process here is started with: nothing of Metaflow's from this machine, the datastore below `root`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW", "FLOWC", "MF_", "PYTHON"))}
    place = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(root), "METAFLOW_HOME": str(root / "home"), "USER": "tester"}
    # Metaflow starts the workers of a gang on a laptop as `python`
    return {**env, **LOCAL, **place, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}


@dataclass(frozen=True, slots=True)
class Task:
    """A task that the engine started: its arguments, exit code, streams, and what it said about the way on."""

    step: str
    path: str
    arguments: Sequence[str]
    code: int
    stderr: str
    stdout: str
    result: Mapping[str, Any]


class TaskError(AssertionError):
    """A task failed for good."""


@dataclass
class Engine:
    """Walks a graph as an orchestrator does: it knows the arguments of every step, and of a task only its code and result."""

    flow: Flow
    graph: Graph
    code: Path
    root: Path
    settings: Settings = field(default_factory=Settings)
    submitted: Mapping[str, str] = field(default_factory=dict)  # what a person gave, as text
    environment: Mapping[str, str] = field(default_factory=dict)
    top: Sequence[str] = ()
    run_id: str = "argo-simulated"
    python: str = sys.executable
    tasks: list[Task] = field(default_factory=list)

    def run(self) -> list[Task]:
        """The tasks, in the order they ended."""
        self._scope((), "")
        return self.tasks

    def _scope(self, scope: tuple[str, ...], path: str) -> None:
        cases: dict[str, str | None] = {}
        for name in self.graph.order:
            node = self.graph.nodes[name]
            if node.scope == scope and self._arrived(node, cases):
                result = self._step(node, path)
                cases[name] = result["case"] if node.type == "split-switch" else None
                if node.type == "foreach":
                    self._fan_out(node, path, result["splits"])

    def _arrived(self, node: Node, cases: Mapping[str, str | None]) -> bool:
        split = self.graph.closes(node.name)
        if split is not None and self.graph.nodes[split].type == "foreach":
            return split in cases
        if any(self.graph.nodes[n].type == "foreach" for n in node.in_funcs):
            return True
        groups = self.graph.arrivals(node.name)
        return all(any(n in cases and cases[n] in (None, node.name) for n in group) for group in groups)

    def _fan_out(self, node: Node, path: str, width: int) -> None:
        inner = (*node.scope, node.name)
        if not node.parallel_foreach:
            for index in range(width):
                self._scope(inner, f"{path}-{index}" if path else str(index))
            return
        gang = self.graph.nodes[node.next[0]]
        for index in range(width):
            place = {"MF_CONTROL_INDEX": "0"} if index == 0 else {"MF_WORKER_REPLICA_INDEX": str(index - 1)}
            self._step(gang, path, {**place, "MF_WORLD_SIZE": str(width), "MF_MASTER_ADDR": "localhost", "MF_MASTER_PORT": "5000"})

    def _step(self, node: Node, path: str, env: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Runs a step's task with its retries, and all rounds where it loops."""
        number = 0
        while True:
            result = self._attempts(node, path, str(number) if node.loops else None, env or {})
            number += 1
            if not node.loops or result["case"] != node.name:
                return result

    def _attempts(self, node: Node, path: str, turn: str | None, env: Mapping[str, str]) -> Mapping[str, Any]:
        user, extra = reading.retries(self.flow, node.name)
        for attempt in range(user + extra + 1):
            options = runtime.arguments(self.graph, node.name, path=path or None, attempt=str(attempt), user_retries=user, round=turn)
            task = self.start(node.name, path, options, env)
            self.tasks.append(task)
            if task.code == 0:
                return task.result
        raise TaskError(f"{' '.join(task.arguments)}: exit code {task.code}\n{task.stderr}")

    def start(self, step: str, path: str, options: Sequence[str], extra: Mapping[str, str]) -> Task:
        """One pod: the bootstrap in a process of its own."""
        result = self.root / "result.json"
        result.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(options), env=self.variables(step, options, extra), capture_output=True, text=True, check=False, cwd="/"
        )
        told = json.loads(result.read_text()) if result.exists() else {}
        return Task(step, path, options, done.returncode, done.stderr, done.stdout, told)

    def command(self, options: Sequence[str]) -> list[str]:
        return [self.python, str(self.root / "boot.py"), *options]

    def variables(self, step: str, options: Sequence[str], extra: Mapping[str, str]) -> dict[str, str]:
        """The environment of a pod."""
        env = {
            **clean_environment(self.root),
            **runtime.environment(self.flow, self.settings, top=self.top),
            "FLOWC_RUN_ID": self.run_id,
            "FLOWC_CODE": str(self.code),
            "FLOWC_WORK": str(self.root),
            "FLOWC_RESULT": str(self.root / "result.json"),
            **reading.variables(self.flow, step),
            **self.environment,
            **extra,
        }
        if "--first" in options:
            text = json.dumps({**{p.name: default_text(p) for p in self.flow.parameters}, **self.submitted})
            env.update(runtime.parameters_environment(self.flow), FLOWC_PARAMETERS=base64.b64encode(text.encode()).decode())
        return env


def engine(path: Path, root: Path, settings: Settings | None = None, name: str | None = None, **more: Any) -> Engine:
    """An engine for the flow of a file (that of the name), whose code is its folder's; `root` gets the datastore and the bootstrap."""
    settings = settings or Settings()
    flow, graph = reading.read(path, settings, name)
    (root / "boot.py").write_text(runtime.bootstrap_text())
    return Engine(flow, graph, path.parent, root, settings, **more)


def on_a_laptop(flow: str, path: Path, root: Path, arguments: Sequence[str] = (), top: Sequence[str] = ()) -> str:
    """`python flow.py run`, on a datastore of its own below `root`; the run's id.

    A file that launches nothing is made to, and @kubernetes, which would start pods, is left out.
    """
    env = {**clean_environment(root), "PYTHONPATH": ""}
    ids = root / "run_id"
    code = root / "laptop"
    shutil.copytree(path.parent, code)
    text = path.read_text().replace("    @kubernetes(cpu=1)\n", "")
    (code / path.name).write_text(text if "__main__" in text else f"{text}\n\n{flow}()\n")
    command = [sys.executable, path.name, "--quiet", "--no-pylint", *top, "run", f"--run-id-file={ids}", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=code)
    assert done.returncode == 0, done.stdout + done.stderr
    return ids.read_text()


# --- what tasks left --------------------------------------------------------------------------------------------------

COMPARED = ("_transition", "_task_ok", "_graph_info")


def results(flow: str, root: Path, run_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """All artifacts of a run: by step and place (index path, round), the user's and those of Metaflow's that say the way on."""
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins.datastores.local_storage import LocalStorage

    store = FlowDataStore(flow, None, storage_impl=LocalStorage, ds_root=str(root / ".metaflow"))
    steps = sorted(p.name for p in (root / ".metaflow" / flow / run_id).iterdir() if p.name != "_meta")
    return dict(_task(d) for d in store.get_task_datastores(run_id, steps=steps))


def _task(datastore: Any) -> tuple[tuple[str, str], dict[str, Any]]:
    values = {name: datastore[name] for name, _ in datastore.items() if not name.startswith("_") or name in COMPARED}
    values = {name: _plain(name, value) for name, value in values.items()}
    return (datastore.step_name, "-".join(_place(datastore))), values


def _place(datastore: Any) -> Iterator[str]:
    for frame in datastore.get("_foreach_stack") or []:
        yield str(frame.index)
    for turn in datastore.get("_iteration_stack") or []:
        yield f"r{turn}"


def _plain(name: str, value: Any) -> Any:
    if name == "_graph_info":
        return value["parameters"], value["constants"], value["graph_structure"]
    if type(value).__name__ == "IncludedFile":
        return {**value.descriptor, "url": Path(value.descriptor["url"]).name}
    return (value.type, value.exception) if type(value).__name__ == "MetaflowExceptionWrapper" else value

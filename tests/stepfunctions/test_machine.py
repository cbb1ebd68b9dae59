"""What single things of a flow become in its state machine: names, attempts, limits, loops, widths, hooks, what is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from argo.engine import imagine
from stepfunctions.machine_engine import Engine, Failed, bodies, gangs, play
from stepfunctions.test_orders import machine_of, read

from flowc import compiler, merging
from flowc.deployment import scopes
from flowc.diagnostics import Code
from flowc.settings import Settings
from flowc.targets.step_functions import jobs, machine, names, states
from flowc.targets.step_functions.lower import check

HEAD = "from metaflow import FlowSpec, batch, catch, exit_hook, parallel, project, retry, step, timeout\n\n\ndef tell():\n    pass\n\n\n"


def flow(*steps: str, above: str = "", name: str = "Hello") -> str:
    """A flow of steps, each `name(arguments): next` after its decorators."""
    body = []
    for text in steps:
        *decorators, line = text.split("\n")
        head, _, next_ = line.partition(": ")
        step, _, arguments = head.partition("(")
        tail = f"self.next({next_})" if next_ else "pass"
        body += [f"    {each}" for each in decorators] + ["    @step", f"    def {step}(self{arguments or ')'}:", f"        {tail}", ""]
    return HEAD + (f"{above}\n" if above else "") + f"class {name}(FlowSpec):\n" + "\n".join(body)


def state(found: dict[str, Any], name: str) -> dict[str, Any]:
    (each,) = [body["States"][name] for body in bodies(found) if name in body["States"]]
    return each


def codes(text: str, **values: Any) -> list[str]:
    chosen = Settings(**values)
    return [each.code.id for each in check(*read(text, chosen), chosen)]


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_attempts_and_time_limits() -> None:
    """Batch tries as often as @retry and @catch together, and stops a job only after @timeout had its chance; without them nothing is said."""
    text = flow("@retry(times=2)\n@catch(var='x')\n@timeout(minutes=2)\nstart: self.end", "end")
    parameters = state(machine_of(text)[1], "start")["Parameters"]
    assert parameters["RetryStrategy"] == {"Attempts": 1 + 2 + merging.FALLBACK_RETRIES}
    assert parameters["Timeout"] == {"AttemptDurationSeconds": 120 + states.STARTUP}
    assert "--user-retries=2" in parameters["ContainerOverrides"]["Command"]
    plain = state(machine_of(text)[1], "end")["Parameters"]
    assert not {"RetryStrategy", "Timeout"} & set(plain)


def test_metaflow_finds_owner_and_token_in_the_first_state() -> None:
    """`step-functions trigger`, `terminate` and the Deployer read the state at StartAt, also of flows that have hooks."""
    for above in ("", "@exit_hook(on_error=[tell])"):
        chosen = Settings(owner="jo", production_token="hello-0-abcd")
        _, found = machine_of(flow("start: self.end", "end", above=above), chosen)
        parameters = found["States"][found["StartAt"]]["Parameters"]
        assert parameters["Parameters"] == {"metaflow.owner": "jo", "metaflow.production_token": "hello-0-abcd"}
        env = {item["Name"]: item.get("Value") for item in parameters["ContainerOverrides"]["Environment"]}
        assert (env["METAFLOW_OWNER"], env["METAFLOW_PRODUCTION_TOKEN"], env["SFN_STATE_MACHINE"]) == ("jo", "hello-0-abcd", "Hello")


def test_definitions_and_queues() -> None:
    """Steps whose containers are alike share a definition; a queue of @batch is taken as it is; `substitutions` lists what is left to fill."""
    text = flow("start: self.big", "@batch(memory=9000, queue='mine')\nbig: self.end", "@batch(memory=9000)\nend")
    _, found = machine_of(text)
    parameters = {name: state(found, name)["Parameters"] for name in ("start", "big", "end")}
    assert [p["JobDefinition"] for p in parameters.values()] == ["${JobDefinition}", "${JobDefinitionBig}", "${JobDefinitionBig}"]
    assert [p["JobQueue"] for p in parameters.values()] == ["${JobQueue}", "mine", "${JobQueue}"]
    assert list(machine.substitutions(*read(text), Settings())) == ["JobQueue", "JobDefinition", "JobDefinitionBig"]


def test_a_gang_is_one_job_of_several_nodes() -> None:
    """Its width and its command stand in the definition, since `.sync` takes no overrides for nodes; the state gives run and path."""
    text = flow(
        "start: self.fan, foreach='x'",
        "fan: self.work, num_parallel=4",
        "@parallel\nwork: self.join",
        "join(, inputs): self.out",
        "out(, inputs): self.end",
        "end",
    )
    graph, found = machine_of(text)
    parameters = state(found, "work")["Parameters"]
    assert parameters["Parameters"] == {"run.$": "$.run", "path.$": "$.path"}
    assert not {"ContainerOverrides", "NodeOverrides"} & set(parameters)
    several = gangs(*read(text))
    assert several[parameters["JobDefinition"]]["numNodes"] == 4
    play(found, imagine(graph, random.Random(5)), several)


def test_gangs_share_no_definition() -> None:
    """Two gangs that are alike in all but their step have two definitions: each holds its own command."""
    text = flow(
        *("start: self.a, num_parallel=2", "@parallel\na: self.j", "j(, inputs): self.k", "k: self.b, num_parallel=2"),
        *("@parallel\nb: self.m", "m(, inputs): self.end", "end"),
    )
    graph, found = machine_of(text)
    play(found, imagine(graph, random.Random(5)), gangs(*read(text)))
    assert state(found, "a")["Parameters"]["JobDefinition"] != state(found, "b")["Parameters"]["JobDefinition"]


# --- loops, switches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_a_loop_counts_its_rounds(rounds: int) -> None:
    """A step that repeats itself is told which round it is, and leaves the loop by the case that says so."""
    graph, found = machine_of(flow("start: self.again", "again: {True: self.again, False: self.end}, condition='x'", "end"))
    run = imagine(graph, random.Random(0))
    assert len(play(found, replace(run, rounds={**run.rounds, ("again", ()): rounds})).started["again", ()]) == rounds + 1


def test_a_case_that_does_not_exist_fails_by_name() -> None:
    """A task that says it went to a step which is no case ends the run with that step's name, and the names of the cases."""
    graph, found = machine_of(flow("start: {'x': self.a, 'y': self.b}, condition='c'", "a: self.end", "b: self.end", "end"))
    run = imagine(graph, random.Random(0))
    with pytest.raises(Failed) as failed:
        Engine(replace(run, ran={**run.ran, ("start", ()): ["elsewhere"]})).body(found, {}, frozenset())
    assert failed.value.args == ("flowc.NoCase", "The step start went on to elsewhere, and its cases are a, b.")


# --- widths ----------------------------------------------------------------------------------------------------------

NEST = (
    "start: self.a, foreach='x'",
    "a: self.b, foreach='x'",
    "b: self.c, foreach='x'",
    "c: self.j",
    "j(, inputs): self.k",
    "k(, inputs): self.m",
    "m(, inputs): self.end",
    "end",
)


@pytest.mark.parametrize(
    ("values", "modes"),
    [
        ({}, ["DISTRIBUTED", "DISTRIBUTED", "INLINE"]),
        ({"max_workers": 10}, ["DISTRIBUTED"] * 3),
        ({"max_workers": 2000}, ["DISTRIBUTED", "INLINE", "INLINE"]),
        ({"max_workers": None}, ["DISTRIBUTED", "INLINE", "INLINE"]),
        ({"use_distributed_map": False}, ["INLINE"] * 3),
    ],
)
def test_no_more_than_a_thousand_maps_are_open(values: dict[str, Any], modes: list[str]) -> None:
    """A foreach is distributed while the foreach around it can open at most 1,000 of it; max-workers is the concurrency of each."""
    _, found = machine_of(flow(*NEST), Settings(**values))
    maps = [state(found, f"{name} foreach") for name in ("start", "a", "b")]
    assert [each["ItemProcessor"]["ProcessorConfig"]["Mode"] for each in maps] == modes
    assert {each.get("MaxConcurrency") for each in maps} == {values.get("max_workers", 100)}


def test_the_size_of_a_wide_foreach_does_not_grow() -> None:
    """Items give back an empty object, and the data after the Map holds no list."""
    graph, found = machine_of(flow(*NEST))
    output, _ = Engine(imagine(graph, random.Random(1))).body(found, {"any": "input"}, frozenset())
    assert output == {"run": "sfn-42", "nothing": {}, "outcome": {}}


# --- hooks -----------------------------------------------------------------------------------------------------------

HOOKED = "@exit_hook(on_success=['tell', 'cheer'], on_error=['tell'])"


@pytest.mark.parametrize(
    ("failing", "ran", "error"),
    [
        ([], ["tell", "cheer"], None),
        (["tell"], ["tell", "cheer"], None),
        (["work"], ["tell"], "work failed"),
        (["work", "tell"], ["tell"], "work failed"),
        (["start"], ["tell"], "start failed"),
    ],
)
def test_hooks_run_at_the_end_and_change_nothing(failing: list[str], ran: list[str], error: str | None) -> None:
    """Those of the outcome run, whatever they do; a flow that failed fails with its own error, also from inside a foreach."""
    text = flow("start: self.work, foreach='x'", "work: self.join", "join(, inputs): self.end", "end", above=HOOKED)
    graph, found = machine_of(text)
    engine = Engine(imagine(graph, random.Random(3)), failing=frozenset(failing))
    if error is None:
        engine.body(found, engine.input, frozenset())
        assert set(engine.started) == set(engine.run.ran)
    else:
        with pytest.raises(Failed) as failed:
            engine.body(found, engine.input, frozenset())
        assert failed.value.args == ("States.TaskFailed", error)
    assert engine.hooks == ran


def test_a_hook_runs_as_the_first_step_does() -> None:
    """With its definition, or one like it that has the hook's image; the queue is the first step's too."""
    steps = "@batch(image='own:1', queue='mine')\nstart: self.end", "end"
    text = flow(*steps, above="@exit_hook(on_success=[tell])\n@exit_hook(on_error=[tell], options={'image': 'other:2'})")
    found_flow, graph = read(text)
    _, found = machine_of(text)
    assert state(found, "tell on success")["Parameters"]["JobDefinition"] == "${JobDefinitionStart}"
    other = state(found, "tell on error")["Parameters"]
    assert (other["JobDefinition"], other["JobQueue"]) == ("${JobDefinitionOfHook}", "mine")
    made = jobs.definitions(found_flow, graph, Settings(), prefix="hello", where=jobs.batch.places(found_flow, Settings()))
    assert set(made) == {"JobDefinition", "JobDefinitionStart", "JobDefinitionOfHook"}
    assert made["JobDefinitionOfHook"].body["containerProperties"] == {
        **made["JobDefinitionStart"].body["containerProperties"],
        "image": "other:2",
    }
    assert len({each.body["jobDefinitionName"] for each in made.values()}) == 3


@pytest.mark.parametrize(("failing", "told"), [([], 1), (["Announce"], 1), (["start"], 0)])
def test_the_end_is_announced_where_there_is_one(failing: list[str], told: int) -> None:
    """A run that succeeded tells once which run it was, and stays a success where nobody hears it; one that failed tells nothing."""
    graph, found = machine_of(flow("start: self.end", "end"))
    engine = Engine(imagine(graph, random.Random(0)), failing=frozenset(failing))
    if told:
        engine.body(found, {}, frozenset())
        assert [(each["name"], each["payload"]["pathspec"]) for each in engine.events] == [("metaflow.Hello.end", "Hello/sfn-42/end/end")]
    else:
        with pytest.raises(Failed):
            engine.body(found, {}, frozenset())
        assert not engine.events
    assert "putEvents" not in json.dumps(machine_of(flow("start: self.end", "end"), Settings(auto_emit_events=False))[1])


# --- names and refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 48, 49, 60])
def test_names_of_projects_are_metaflows(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`project.branch.Flow`, and where that is longer than 60 characters, Metaflow's own cut and hash."""
    from metaflow.plugins.aws.step_functions import step_functions_cli

    full = f"ads.user.jo.{'A' * length}"
    known = SimpleNamespace(get=lambda _: "ads", project_flow_name=full, branch_name="user.jo")
    monkeypatch.setattr(step_functions_cli, "current", known)
    theirs, _, _ = step_functions_cli.resolve_state_machine_name(SimpleNamespace(), None)
    made = read(flow("start: self.end", "end", above="@project(name='ads')", name="A" * length))[0]
    assert names.state_machine_name(made, Settings(owner="jo")) == theirs


def test_names_of_other_flows() -> None:
    """The flow's name, or the setting's."""
    made = read(flow("start: self.end", "end"))[0]
    assert names.state_machine_name(made, Settings()) == "Hello"
    assert names.state_machine_name(made, Settings(name="other")) == "other"


def test_states_have_short_names_of_their_own() -> None:
    """Steps with long names, and the same beginning, keep apart."""
    long = [f"{'x' * 85}_{n}" for n in range(2)]
    loop = f"{{True: self.{long[0]}, False: self.{long[1]}}}, condition='c'"
    _, found = machine_of(flow(f"start: self.{long[0]}", f"{long[0]}: {loop}", f"{long[1]}: self.end", "end"))
    assert len(found["States"]) == 11
    assert max(map(len, found["States"])) == 80


def test_text_reaches_an_intrinsic_function_whole() -> None:
    """A prefix with quotes and braces is escaped in the key of the outcome, and is the one the pod writes to."""
    text = flow("start: self.a, foreach='x'", "a: self.join", "join(, inputs): self.end", "end")
    graph, found = machine_of(text, Settings(datastore="s3", datastore_root="s3://lake/it's (mine)"))
    play(found, imagine(graph, random.Random(0)))
    assert state(found, "start outcome")["Parameters"]["Bucket"] == "lake"


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (flow("start: self.end", "end"), {}, []),
        (flow("start: self.end", "end", name="N" * 81), {}, ["FC450"]),
        (flow("start: self.end", "end"), {"name": "a b"}, ["FC451"]),
        (flow("start: self.end", "end", above=HOOKED), {"workflow_timeout": 9}, ["FC452"]),
        (flow("start: self.end", "end", above="@exit_hook(on_success=[tell])"), {"workflow_timeout": 9}, []),
        (flow("start: self.end", "end"), {"notify_on_success": True}, ["FC453"]),
        (flow("@retry(minutes_between_retries=0)\nstart: self.end", "@retry\nend"), {}, []),
        (flow("start: self.end", "@retry(minutes_between_retries=3)\nend"), {}, ["FC454"]),
        (flow("start: self.end", "end"), {"owner": "a${b}"}, ["FC455"]),
        (flow("start: self.end", "end"), {"production_token": "%{if}"}, ["FC455"]),
        (flow("start: self.end", "end"), {"datastore": "azure"}, ["FC456"]),
        (flow("start: self.end", "end"), {"datastore_root": "/mnt/data"}, ["FC456"]),
        (flow("start: self.end", "end"), {"branch": "b"}, ["FC416"]),
        (flow("start: self.a, num_parallel=self.n", "@parallel\na: self.j", "j(, inputs): self.end", "end"), {}, ["FC457"]),
    ],
)
def test_what_is_refused_or_told(text: str, values: dict[str, Any], expected: list[str]) -> None:
    """Each limit has its code, and what is inside the limit has none."""
    assert codes(text, **values) == expected


def test_calls_are_those_of_the_partition() -> None:
    """In another partition of AWS all calls, however deep, have that partition's ARNs, and the stack's role still allows them."""
    text = flow(*NEST, above=HOOKED)
    found = machine_of(text, Settings(aws_partition="aws-us-gov"))[1]
    calls = [each["Resource"] for body in bodies(found) for each in body["States"].values() if "Resource" in each]
    assert len(calls) == 15
    assert all(call.startswith("arn:aws-us-gov:states:::") for call in calls)
    stacks = [compiler.compile_flow(*read(text), "step-functions", Settings(aws_partition=each)) for each in ("aws", "aws-us-gov")]
    roles = [each.artifacts[0].object["Resources"]["StateMachineRole"] for each in stacks]
    assert roles[0] == roles[1]


@pytest.mark.parametrize("code", [scopes.SHARED, scopes.TWO_JOINS], ids=lambda code: code.id)
def test_shapes_that_no_nesting_carries(code: Code) -> None:
    """A step in two places, and a split with two joins, are refused here as on Argo: the machine would run them in neither's place."""
    assert codes(str(code.bad.files["flow.py"])) == [code.id]


def test_a_time_limit_is_the_machines() -> None:
    """`workflow_timeout` counts for the whole execution; nothing limits it otherwise."""
    text = flow("start: self.end", "end")
    assert machine_of(text, Settings(workflow_timeout=3600))[1]["TimeoutSeconds"] == 3600
    assert "TimeoutSeconds" not in json.dumps(machine_of(text)[1])

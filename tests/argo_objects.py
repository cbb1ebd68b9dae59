"""In: nothing. Out: objects that Argo accepts, a hundred ways to break the WorkflowTemplate with words of the verdict due, and that verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowc.deployment.validate import violations
from flowc.diagnostics import OutputBug, Severity
from flowc.ir import Flow, NoNext, Step
from flowc.settings import Settings
from flowc.source import SourceFile, Span
from flowc.targets.argo.rules import rules

Object = dict[str, Any]
SPAN = Span("flow.py", 1, 1, 1, 2)
STEPS = {name: Step(name, NoNext(), 1, (), SPAN) for name in ("start", "fan_out", "work", "end")}
FLOW = Flow("Hello", SourceFile("flow.py", "x"), SPAN, STEPS)
SCHEMAS = {"Sensor": "argo/sensor.json", "ConfigMap": "kubernetes/1.33.json"}


def judged(objects: list[Object], version: str = "3.7") -> str | None:
    """What is said against the objects, None where nothing is."""
    schema = "argo/4.0.json" if version >= "4" else "argo/3.7.json"
    for value in objects:
        wrong = violations(SCHEMAS.get(value.get("kind", ""), schema), value)
        if wrong:
            return f"{wrong[0][0]} {wrong[0][1]}"
    try:
        found = rules(FLOW, objects, Settings(argo_version=version))
    except OutputBug as bug:
        return str(bug)
    return next((f.message for f in found if f.severity is Severity.ERROR), None)


TEMPLATE: Object = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "hello", "labels": {"app.kubernetes.io/name": "hello"}, "annotations": {"metaflow/owner": "someone at home"}},
    "spec": {
        "entrypoint": "Flow",
        "onExit": "bye",
        "parallelism": 100,
        "arguments": {"parameters": [{"name": "alpha", "value": "{}"}]},
        "workflowMetadata": {"labels": {"team": "x"}},
        "volumes": [{"name": "out", "emptyDir": {}}],
        "templateDefaults": {
            "inputs": {"artifacts": [{"name": "boot", "path": "/flowc/boot.py", "raw": {"data": "print()"}}]},
            "container": {
                "image": "python:3.11",
                "command": ["python", "/flowc/boot.py"],
                "env": [{"name": "RUN", "value": "argo-{{workflow.name}}"}],
                "volumeMounts": [{"name": "out", "mountPath": "/mnt/out"}],
            },
        },
        "templates": [
            {
                "name": "Flow",
                "dag": {
                    "tasks": [
                        {
                            "name": "start",
                            "template": "start",
                            "arguments": {"parameters": [{"name": "p", "value": "{{workflow.parameters.alpha}}"}]},
                        },
                        {
                            "name": "fan-out",
                            "template": "body",
                            "depends": "start.Succeeded",
                            "when": "{{tasks.start.outputs.parameters.case}} == work",
                            "withParam": "{{tasks.start.outputs.parameters.splits}}",
                            "arguments": {"parameters": [{"name": "path", "value": "{{item}}"}]},
                        },
                        {
                            "name": "end",
                            "template": "end",
                            "depends": "start && (fan-out.AnySucceeded || !fan-out.Failed)",
                            "hooks": {"exit": {"template": "bye"}},
                            "arguments": {
                                "parameters": [{"name": "seen", "value": "{{=tasks['fan-out'].status == 'Succeeded' ? 'tasks.x' : 'b'}}"}]
                            },
                        },
                    ]
                },
            },
            {
                "name": "body",
                "inputs": {"parameters": [{"name": "path"}]},
                "parallelism": 2,
                "steps": [
                    [
                        {
                            "name": "one",
                            "template": "work",
                            "arguments": {"parameters": [{"name": "path", "value": "{{inputs.parameters.path}}"}]},
                        }
                    ],
                    [
                        {
                            "name": "two",
                            "template": "work",
                            "arguments": {"parameters": [{"name": "path", "value": "{{steps.one.outputs.parameters.done}}"}]},
                        }
                    ],
                ],
            },
            {
                "name": "start",
                "inputs": {"parameters": [{"name": "p"}, {"name": "q", "default": "1"}]},
                "retryStrategy": {"limit": 2, "retryPolicy": "Always", "expression": "asInt(lastRetry.exitCode) != 3"},
                "activeDeadlineSeconds": 60,
                "container": {"args": ["start", "--attempt", "{{retries}}", "{{inputs.parameters.p}}", "{{pod.name}}"]},
                "outputs": {
                    "parameters": [
                        {"name": "splits", "valueFrom": {"path": "/mnt/out/splits", "default": "[]"}},
                        {"name": "case", "valueFrom": {"path": "/mnt/out/case", "default": ""}},
                    ]
                },
            },
            {
                "name": "work",
                "inputs": {"parameters": [{"name": "path"}]},
                "container": {
                    "args": ["work", "--path", "{{inputs.parameters.path}}"],
                    "resources": {"requests": {"cpu": "1", "memory": "4Gi"}},
                },
                "outputs": {"parameters": [{"name": "done", "valueFrom": {"path": "/mnt/out/done"}}]},
            },
            {"name": "end", "inputs": {"parameters": [{"name": "seen"}]}, "container": {"args": ["end", "{{inputs.parameters.seen}}"]}},
            {"name": "bye", "resource": {"action": "create", "manifest": "kind: Job\nspec: {completions: {{workflow.status}}}\n"}},
        ],
    },
}
CRON: Object = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "CronWorkflow",
    "metadata": {"name": "hello"},
    "spec": {
        "schedules": ["0 10 * * MON-FRI", "@hourly", "*/5,7 0-12/2 ? jan *"],
        "timezone": "Europe/Berlin",
        "workflowSpec": {"workflowTemplateRef": {"name": "hello"}},
    },
}
SENSOR: Object = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "hello"},
    "spec": {
        "dependencies": [{"name": "a", "eventName": "e", "eventSourceName": "s"}],
        "triggers": [{"template": {"name": "t", "argoWorkflow": {"operation": "submit", "source": {"resource": {"kind": "Workflow"}}}}}],
    },
}


def template(value: Object, name: str) -> Object:
    return next(t for t in value["spec"]["templates"] if t["name"] == name)


def task(value: Object, name: str) -> Object:
    return next(t for t in template(value, "Flow")["dag"]["tasks"] if t["name"] == name)


def put(path: str, new: Any) -> Callable[[Object], None]:
    """Set a place of the WorkflowTemplate: `spec.x`, `start.x` of a template, `tasks.end.x` of a task; None removes it."""

    def change(value: Object) -> None:
        root, *keys = path.split("/")
        holder: Any = value if root == "" else task(value, root[6:]) if root.startswith("tasks.") else template(value, root)
        for key in keys[:-1]:
            holder = holder[int(key)] if isinstance(holder, list) else holder.setdefault(key, {})
        last = int(keys[-1]) if isinstance(holder, list) else keys[-1]
        if new is None:
            del holder[last]
        else:
            holder[last] = new

    return change


def add(path: str, new: Any) -> Callable[[Object], None]:
    def change(value: Object) -> None:
        root, *keys = path.split("/")
        holder: Any = value if root == "" else template(value, root)
        for key in keys:
            holder = holder[int(key)] if isinstance(holder, list) else holder[key]
        holder.append(new)

    return change


LEAF = {"container": {"args": []}}
# name -> (the change, words of the verdict)
BROKEN: dict[str, tuple[Callable[[Object], None], str]] = {
    "unknown field": (put("start/retryStrategy/limitt", 3), "'limitt' was unexpected"),
    "unknown field of a task": (put("tasks.end/dependsOn", "start"), "'dependsOn' was unexpected"),
    "a number where text is due": (put("/metadata/labels/a", 1), 'not of type "string"'),
    "env value no text": (put("/spec/templateDefaults/container/env/0/value", True), 'not of type "string"'),
    "no spec": (put("/spec", None), '"spec" is a required property'),
    "wrong kind": (put("/kind", "WorkflowTemplat"), "WorkflowTemplat"),
    "wrong apiVersion": (put("/apiVersion", "argoproj.io/v1"), "apiVersion"),
    "long name": (put("/metadata/name", "a" * 64), "at most 63"),
    "upper-case name": (put("/metadata/name", "Hello"), "lower-case"),
    "entrypoint missing": (put("/spec/entrypoint", "nowhere"), "names the template nowhere"),
    "exit handler missing": (put("/spec/onExit", "nowhere"), "names the template nowhere"),
    "template name with underscore": (add("/spec/templates", {"name": "a_b", **LEAF}), "'a_b', which Argo does not allow"),
    "template name with dot": (add("/spec/templates", {"name": "a.b", **LEAF}), "'a.b', which Argo does not allow"),
    "template name starts with dash": (add("/spec/templates", {"name": "-a", **LEAF}), "'-a', which Argo does not allow"),
    "template name empty": (add("/spec/templates", {"name": "", **LEAF}), "'', which Argo does not allow"),
    "template name of 129": (add("/spec/templates", {"name": "a" * 129, **LEAF}), "more than 128"),
    "template twice": (add("/spec/templates", {"name": "end", **LEAF}), "twice"),
    "template unused": (add("/spec/templates", {"name": "idle", **LEAF}), "used by nothing"),
    "template without type": (put("end/container", None), "of no type"),
    "template of two types": (put("end/suspend", {}), "container and suspend"),
    "no image": (put("/spec/templateDefaults/container/image", None), "no image"),
    "task template missing": (put("tasks.end/template", "nowhere"), "names the template nowhere"),
    "task without template": (put("tasks.end/template", None), "runs nothing"),
    "task with template and inline": (put("tasks.end/inline", LEAF), "template and inline"),
    "task name with digit first": (put("tasks.end/name", "1end"), "starts with a digit"),
    "task name with underscore": (put("tasks.end/name", "the_end"), "'the_end', which Argo does not allow"),
    "task twice": (add("Flow/dag/tasks", {"name": "end", "template": "bye"}), "end twice"),
    "dag without tasks": (put("Flow/dag/tasks", []), "no task"),
    "depends on nothing": (put("tasks.end/depends", "nowhere"), "depends on nowhere"),
    "depends on itself": (put("tasks.end/depends", "end"), "cycle through end"),
    "depends in a circle": (put("tasks.start/depends", "end"), "cycle"),
    "depends ends early": (put("tasks.end/depends", "start &&"), "ends where a task is due"),
    "depends with one ampersand": (put("tasks.end/depends", "start & fan-out"), "does not parse"),
    "depends without operator": (put("tasks.end/depends", "start fan-out"), "does not parse"),
    "depends open": (put("tasks.end/depends", "(start"), "nothing closes"),
    "depends close": (put("tasks.end/depends", "start)"), "does not parse"),
    "depends with unknown result": (put("tasks.end/depends", "start.Succeded && fan-out"), "unknown result"),
    "depends asks items of one": (put("tasks.end/depends", "start.AnySucceeded && fan-out"), "no items"),
    "depends and dependencies": (put("tasks.fan-out/dependencies", ["start"]), "both"),
    "depends and continueOn": (put("tasks.end/continueOn", {"failed": True}), "continueOn"),
    "argument missing": (put("tasks.start/arguments", None), "not given the parameter p"),
    "argument without value": (put("tasks.start/arguments/parameters/0/value", None), "no value"),
    "argument unknown": (put("tasks.start/arguments/parameters/0/name", "z"), "not given the parameter p"),
    "argument not taken": (
        put("tasks.end/arguments/parameters", [{"name": "seen", "value": "1"}, {"name": "z", "value": "1"}]),
        "does not take",
    ),
    "argument name with dot": (put("tasks.start/arguments/parameters/0/name", "p.q"), "'p.q', which Argo does not allow"),
    "argument twice": (put("tasks.start/arguments/parameters", [{"name": "p", "value": "1"}] * 2), "p twice"),
    "argument from an output": (
        put("tasks.start/arguments/parameters/0", {"name": "p", "valueFrom": {"path": "/x"}}),
        "nothing that arguments may name",
    ),
    "artifact from nowhere": (put("tasks.start/arguments/artifacts", [{"name": "a"}]), "comes from nowhere"),
    "workflow parameter unknown": (
        put("tasks.start/arguments/parameters/0/value", "{{workflow.parameters.beta}}"),
        "workflow.parameters.beta",
    ),
    "output unknown": (put("tasks.fan-out/withParam", "{{tasks.start.outputs.parameters.width}}"), "outputs.parameters.width"),
    "output of a task that is not over": (put("tasks.start/arguments/parameters/0/value", "{{tasks.end.status}}"), "tasks.end.status"),
    "output of no task": (put("tasks.fan-out/withParam", "{{tasks.nowhere.outputs.parameters.x}}"), "tasks.nowhere"),
    "output of a step that is not over": (put("body/steps/0/0/arguments/parameters/0/value", "{{steps.two.id}}"), "steps.two.id"),
    "input unknown": (put("end/container/args", ["{{inputs.parameters.nothing}}"]), "inputs.parameters.nothing"),
    "tag without end": (put("end/container/args", ["{{inputs.parameters.seen"]), "an end"),
    "user text with braces": (put("end/container/args", ["say {{hello}}"]), "refers to hello"),
    "user text with braces in the spec": (put("/spec/arguments/parameters/0/value", "{{x}}"), "refers to x"),
    "item outside of a loop": (put("tasks.end/arguments/parameters/0/value", "{{item}}"), "item"),
    "retries without retryStrategy": (put("end/container/args", ["{{retries}}"]), "retries"),
    "pod name in a dag": (put("tasks.end/arguments/parameters/0/value", "{{pod.name}}"), "pod.name"),
    "expression names no task": (put("tasks.end/arguments/parameters/0/value", "{{=tasks['nowhere'].status}}"), "tasks.nowhere"),
    "expression subtracts": (put("tasks.end/arguments/parameters/0/value", "{{=tasks.fan-out.status}}"), "refers to tasks.fan"),
    "expression names no input": (put("start/container/args", ["{{=inputs.parameters.r}}"]), "inputs.parameters.r"),
    "retry expression": (put("start/retryStrategy/expression", "lastRetry.code != 1"), "lastRetry.code"),
    "retry policy": (put("start/retryStrategy/retryPolicy", "Never"), "retryPolicy"),
    "failures without exit handler": (put("tasks.start/arguments/parameters/0/value", "{{workflow.failure}}"), "workflow.failure"),
    "deadline on a dag": (put("Flow/activeDeadlineSeconds", 5), "only leaf templates"),
    "deadline on steps": (put("body/activeDeadlineSeconds", 5), "only leaf templates"),
    "deadline negative": (put("start/activeDeadlineSeconds", -5), "no positive number"),
    "parallelism on a leaf": (put("end/parallelism", 2), "only dag and steps"),
    "timeout on a dag": (put("Flow/timeout", "5m"), "no place there"),
    "timeout without unit": (put("end/timeout", "5"), "no duration"),
    "with two": (put("tasks.fan-out/withItems", [1]), "more than one"),
    "sequence with count and end": (put("tasks.end/withSequence", {"count": "1", "end": "2"}), "both count and end"),
    "hook without expression": (put("tasks.end/hooks/running", {"template": "bye"}), "without an expression"),
    "hook template missing": (put("tasks.end/hooks/exit/template", "nowhere"), "names the template nowhere"),
    "output from nowhere": (put("work/outputs/parameters/0/valueFrom", {"default": "1"}), "nowhere"),
    "output without valueFrom": (put("work/outputs/parameters/0/valueFrom", None), "exactly one of value"),
    "output by expression in a pod": (put("work/outputs/parameters/0/valueFrom", {"expression": "1"}), "does not have"),
    "output from two": (put("work/outputs/parameters/0/valueFrom/jsonPath", "x"), "path and jsonPath"),
    "output twice": (put("work/outputs/parameters", [{"name": "done", "valueFrom": {"path": "/a"}}] * 2), "done twice"),
    "output of a dag from a path": (put("Flow/outputs", {"parameters": [{"name": "a", "valueFrom": {"path": "/a"}}]}), "does not have"),
    "input twice": (put("work/inputs/parameters", [{"name": "path"}] * 2), "path twice"),
    "artifact without path": (put("work/inputs/artifacts", [{"name": "a", "raw": {"data": "x"}}]), "no absolute path"),
    "artifact with path in a dag": (
        put("Flow/inputs", {"artifacts": [{"name": "a", "path": "/a", "raw": {"data": "x"}}]}),
        "only leaf templates",
    ),
    "artifact not given": (put("work/inputs/artifacts", [{"name": "a", "path": "/a"}]), "not given the artifact a"),
    "two at one path": (put("work/inputs/artifacts", [{"name": "a", "path": "/flowc/boot.py", "raw": {"data": "x"}}]), "already"),
    "volume over artifact": (put("work/container/volumeMounts", [{"name": "out", "mountPath": "/flowc/boot.py"}]), "already"),
    "resource action": (put("bye/resource/action", "make"), "action"),
    "resource manifest missing": (put("bye/resource/manifest", None), "exactly one of manifest"),
    "resource manifest no YAML": (put("bye/resource/manifest", "a: [1"), "no YAML"),
    "label value": (put("/spec/workflowMetadata/labels/team", "data science"), "cannot have the value"),
    "label too long": (put("/metadata/labels/a", "a" * 64), "cannot have the value"),
    "label key": (put("/metadata/labels", {"a b": "c"}), "no key for labels"),
    "annotation key": (put("/metadata/annotations", {"/a": "c"}), "no key for annotations"),
    "annotations too long": (put("/metadata/annotations/a", "x" * 270_000), "more than 262,144"),
    "environment name": (put("/spec/templateDefaults/container/env/0/name", "1A"), "cannot name"),
    "environment too long": (put("/spec/templateDefaults/container/env/0/value", "x" * 131_072), "that Linux takes"),
    "argument too long": (put("end/container/args", ["x" * 131_072]), "that Linux takes"),
    "all too large": (put("/spec/arguments/parameters/0/value", "x" * 950_000), "of the 1,048,576"),
}

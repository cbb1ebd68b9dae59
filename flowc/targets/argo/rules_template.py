"""In: the spec of a WorkflowTemplate. Out: what Argo's validation (validate.go) would refuse, and what it overlooks and then fails on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flowc.targets.argo import rules_depends, rules_scope

Template = Mapping[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*", re.ASCII)
_PARAMETER_NAME = re.compile(r"[-a-zA-Z0-9_]+", re.ASCII)
_LONGEST_NAME = 128
_POLICIES = ("Always", "OnError", "OnFailure", "OnTransientError")
_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")
_LOCATIONS = ("raw", "s3", "gcs", "azure", "git", "http", "hdfs", "oss", "artifactory", "plugin")
_DURATION = re.compile(r"(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+")
_ARGO_TAG = re.compile(r"\{\{.*\}\}")


def problems(spec: Mapping[str, Any]) -> Iterator[str]:
    """Each problem as a sentence without its full stop."""
    templates = spec.get("templates", ())
    yield from _names(templates, "spec.templates", _NAME)
    by_name: dict[str, Template] = {t["name"]: t for t in templates if t.get("name")}
    yield from _arguments(spec.get("arguments", {}), "spec.arguments", needs_values=False)
    roots = list(_roots(spec))
    for where, name in roots:
        if name not in by_name:
            yield f"{where} names the template {name}, which does not exist"
    yield from (f"template {name} is used by nothing" for name in _unused(by_name, [name for _, name in roots]))
    first = by_name.get(spec.get("entrypoint", ""))
    if first is not None:
        supplied = _argument_names(spec.get("arguments", {}))
        yield from (f"entrypoint {first['name']} {problem}" for problem in _unsupplied(first, supplied))
    globals_ = rules_scope.of_workflow(spec)
    outside = {key: value for key, value in spec.items() if key not in ("templates", "templateDefaults")}
    yield from (f"spec {problem}" for problem in rules_scope.unresolved(rules_scope.uses(outside), globals_.__contains__))
    defaults = spec.get("templateDefaults", {})
    inherited = {key: rules_scope.uses(value) for key, value in defaults.items()}
    for template in templates:
        where = f"template {template.get('name')}"
        yield from (f"{where} {problem}" for problem in _template(template, defaults))
        known = globals_ | rules_scope.of_template(template, retried="retryStrategy" in template or "retryStrategy" in defaults)
        if "dag" in template or "steps" in template:
            yield from (f"{where} {problem}" for problem in _holders(template, by_name, known))
            continue
        used = rules_scope.uses(template)
        for key, shared in inherited.items():
            used += shared if key not in rules_scope.TYPES or key in template else ()
        knows = rules_scope.either(known, rules_scope.of_template(defaults, retried=False))
        yield from (f"{where} {problem}" for problem in rules_scope.unresolved(used, knows))


def _roots(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "entrypoint" in spec:
        yield "entrypoint", spec["entrypoint"]
    if "onExit" in spec:
        yield "onExit", spec["onExit"]
    yield from ((f"hook {name}", hook["template"]) for name, hook in spec.get("hooks", {}).items() if "template" in hook)


def holders(template: Template) -> list[Mapping[str, Any]]:
    """The tasks of a DAG or the steps of a steps template, in order."""
    if "dag" in template:
        return list(template["dag"].get("tasks", ()))
    return [step for group in template.get("steps", ()) for step in group]


def _used(template: Template) -> Iterator[str]:
    for holder in holders(template):
        if "template" in holder:
            yield holder["template"]
        yield from (hook["template"] for hook in holder.get("hooks", {}).values() if "template" in hook)


def _unused(by_name: Mapping[str, Template], roots: Sequence[str]) -> list[str]:
    seen = {name for name in roots if name in by_name}
    waiting = list(seen)
    while waiting:
        for name in _used(by_name[waiting.pop()]):
            if name in by_name and name not in seen:
                seen.add(name)
                waiting.append(name)
    return [name for name in by_name if name not in seen]


def _names(items: Sequence[Mapping[str, Any]], where: str, form: re.Pattern[str]) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(items):
        name = item.get("name", "")
        if not form.fullmatch(name):
            yield f"{where}[{index}] has the name {name!r}, which Argo does not allow"
        if form is _NAME and len(name) > _LONGEST_NAME:
            yield f"{where}[{index}] has a name of {len(name)} characters, more than {_LONGEST_NAME}"
        if name in seen:
            yield f"{where} has the name {name} twice"
        seen.add(name)


def _arguments(arguments: Mapping[str, Any], where: str, *, needs_values: bool) -> Iterator[str]:
    yield from _names(arguments.get("parameters", ()), f"{where}.parameters", _PARAMETER_NAME)
    yield from _names(arguments.get("artifacts", ()), f"{where}.artifacts", _PARAMETER_NAME)
    for parameter in arguments.get("parameters", ()):
        at = f"{where}.parameters {parameter.get('name')}"
        source = parameter.get("valueFrom")
        if source is None and "value" not in parameter and needs_values:
            yield f"{at} has no value"
        if source is not None:
            if not {"configMapKeyRef", "event", "supplied"} & source.keys():
                yield f"{at} takes its value from nothing that arguments may name"
            if {"path", "jsonPath", "parameter", "expression"} & source.keys():
                yield f"{at} takes its value from what only outputs may name"
        if "enum" in parameter and ("value" in parameter or needs_values) and parameter.get("value") not in parameter["enum"]:
            yield f"{at} has a value that is not in its enum"
    for artifact in arguments.get("artifacts", ()):
        at = f"{where}.artifacts {artifact.get('name')}"
        if not {"from", "fromExpression", *_LOCATIONS} & artifact.keys():
            yield f"{at} comes from nowhere"
        if {"from", "fromExpression"} <= artifact.keys():
            yield f"{at} has both from and fromExpression"


def _template(template: Template, defaults: Template) -> Iterator[str]:
    """What concerns one template alone."""
    types = [kind for kind in rules_scope.TYPES if kind in template]
    if len(types) != 1:
        yield f"is {' and '.join(types) or 'of no type'}; it must be exactly one of {', '.join(rules_scope.TYPES)}"
        return
    kind = types[0]
    inputs, outputs = template.get("inputs", {}), template.get("outputs", {})
    for part in ("parameters", "artifacts"):
        yield from _names(inputs.get(part, ()), f"inputs.{part}", _PARAMETER_NAME)
        yield from _names(outputs.get(part, ()), f"outputs.{part}", _PARAMETER_NAME)
    yield from _artifacts(template, defaults, leaf=kind in rules_scope.LEAVES)
    for output in outputs.get("parameters", ()):
        yield from (f"outputs.parameters {output.get('name')} {problem}" for problem in _output(output, kind))
    yield from _limits(template, kind)
    policy = template.get("retryStrategy", {}).get("retryPolicy", "Always")
    if policy not in _POLICIES:
        yield f"has the retryPolicy {policy}, not one of {', '.join(_POLICIES)}"
    if kind in ("container", "script") and not template[kind].get("image") and not defaults.get(kind, {}).get("image"):
        yield "has no image, and templateDefaults give none"
    if kind == "resource":
        yield from _resource(template["resource"])
    served = kind == "containerSet" and (inputs.get("artifacts") or outputs)
    if served and all(c["name"] != "main" for c in template["containerSet"]["containers"]):
        yield "has inputs or outputs but no container called main"


def _limits(template: Template, kind: str) -> Iterator[str]:
    if kind in ("dag", "steps"):
        if "activeDeadlineSeconds" in template:
            yield "has activeDeadlineSeconds, which only leaf templates may have"
        if not holders(template):
            yield "has no task"
    elif "parallelism" in template:
        yield "has parallelism, which only dag and steps templates may have"
    deadline = template.get("activeDeadlineSeconds", 1)
    text = str(deadline)
    if not _ARGO_TAG.fullmatch(text) and not (text.isascii() and text.isdigit() and int(text) > 0):
        yield f"has activeDeadlineSeconds {deadline}, no positive number"
    if "timeout" in template and (kind in ("dag", "steps", "suspend") or not _duration(template["timeout"])):
        yield f"has the timeout {template['timeout']}, which is no duration or has no place there"


def _duration(text: str) -> bool:
    return bool(_DURATION.fullmatch(text) or _ARGO_TAG.fullmatch(text))


def _artifacts(template: Template, defaults: Template, *, leaf: bool) -> Iterator[str]:
    inputs = template.get("inputs", {}).get("artifacts", ())
    for artifact in (*inputs, *template.get("outputs", {}).get("artifacts", ())):
        name = artifact.get("name")
        if leaf and not artifact.get("path", "").startswith("/"):
            yield f"artifact {name} has no absolute path"
        if not leaf and "path" in artifact:
            yield f"artifact {name} has a path, which only leaf templates may have"
    yield from (f"input artifact {a.get('name')} has `from`, which only arguments may have" for a in inputs if "from" in a)
    if "container" not in template:
        return
    from_defaults = [a for a in defaults.get("inputs", {}).get("artifacts", ()) if a.get("name") not in {i.get("name") for i in inputs}]
    paths: dict[str, str] = {}
    own = [m["mountPath"] for m in template["container"].get("volumeMounts", ())]
    inherited = {m["mountPath"] for m in defaults.get("container", {}).get("volumeMounts", ())} - set(own)
    placed = [
        *((path, "a volume") for path in (*own, *inherited)),
        *((a.get("path", ""), "an artifact") for a in (*inputs, *from_defaults)),
    ]
    for path, what in placed:
        if path in paths:
            yield f"puts {what} at {path}, where {paths[path]} is already"
        paths[path] = what


def _output(output: Mapping[str, Any], kind: str) -> Iterator[str]:
    source = output.get("valueFrom")
    if ("value" in output) == (source is not None):
        yield "needs exactly one of value and valueFrom"
    if source is None:
        return
    ways = [way for way in ("path", "jqFilter", "jsonPath", "parameter", "expression") if source.get(way)] + ["supplied"] * (
        "supplied" in source
    )
    if len(ways) != 1:
        yield f"takes its value from {' and '.join(ways) or 'nowhere'}, not from one place"
        return
    allowed = {
        "resource": ("jqFilter", "jsonPath"),
        "dag": ("parameter", "expression"),
        "steps": ("parameter", "expression"),
        "suspend": ("supplied",),
    }
    if ways[0] not in allowed.get(kind, ("path",)):
        yield f"takes its value from {ways[0]}, which a template of type {kind} does not have"
    if "globalName" in output and not _PARAMETER_NAME.fullmatch(output["globalName"]):
        yield f"has the globalName {output['globalName']!r}, which Argo does not allow"


def _resource(resource: Mapping[str, Any]) -> Iterator[str]:
    action = resource.get("action")
    if action not in _ACTIONS:
        yield f"has the action {action!r}, not one of {', '.join(_ACTIONS)}"
    if action in ("get", "delete"):
        return
    if ("manifest" in resource) == ("manifestFrom" in resource):
        yield "needs exactly one of manifest and manifestFrom"
    if "manifest" in resource:
        import yaml

        try:
            yaml.safe_load(re.sub(r"\{\{.*?\}\}", "0", resource["manifest"], flags=re.DOTALL))
        except yaml.YAMLError as error:
            yield f"has a manifest that is no YAML: {str(error).splitlines()[0]}"


def _unsupplied(template: Template, supplied: set[str]) -> Iterator[str]:
    inputs = template.get("inputs", {})
    for parameter in inputs.get("parameters", ()):
        if f"parameters.{parameter['name']}" not in supplied and not {"value", "valueFrom", "default"} & parameter.keys():
            yield f"is not given the parameter {parameter['name']}"
    for artifact in inputs.get("artifacts", ()):
        given = f"artifacts.{artifact['name']}" in supplied or artifact.get("optional")
        if not given and not {*_LOCATIONS} & artifact.keys():
            yield f"is not given the artifact {artifact['name']}"


def _argument_names(arguments: Mapping[str, Any]) -> set[str]:
    return {f"{part}.{a.get('name')}" for part in ("parameters", "artifacts") for a in arguments.get(part, ())}


def _holders(template: Template, by_name: Mapping[str, Template], known: frozenset[str]) -> Iterator[str]:
    prefix = "tasks" if "dag" in template else "steps"
    all_ = holders(template)
    yield from _names(all_, prefix, _NAME)
    tasks = [holder for holder in all_ if "name" in holder]
    parents: dict[str, list[str]] = {}
    if prefix == "tasks":
        yield from rules_depends.problems(tasks, parents)
    else:
        before: list[str] = []
        for group in template["steps"]:
            named = [step["name"] for step in group if "name" in step]
            parents |= {name: list(before) for name in named}
            before = named or before
    cyclic = rules_depends.order(parents)[1]
    if cyclic:
        yield f"has a cycle through {', '.join(cyclic[:5])}"
        return
    facts = {h["name"]: rules_scope.of_node(f"{prefix}.{h['name']}", by_name.get(h.get("template", ""))) for h in tasks}
    past = rules_depends.ancestors(parents)
    for holder in tasks:
        yield from (f"task {holder['name']} {problem}" for problem in _holder(holder, by_name))
        known_here = _reach(known, facts, past[holder["name"]], holder, prefix)
        yield from (f"task {holder['name']} {problem}" for problem in rules_scope.unresolved(rules_scope.uses(holder), known_here))
    outside = {key: value for key, value in template.items() if key not in ("dag", "steps")}
    at_end = _reach(known, facts, facts, {}, prefix)
    yield from rules_scope.unresolved(rules_scope.uses(outside), at_end)


def _reach(
    known: frozenset[str], facts: Mapping[str, frozenset[str]], past: Any, holder: Mapping[str, Any], prefix: str
) -> rules_scope.Knows:
    """What a task may refer to: the template's names, its items, the facts of tasks that finished before it and, in hooks, its own."""
    item = rules_scope.of_items(holder)
    own = holder.get("name") if "hooks" in holder else None

    def knows(name: str) -> bool:
        if name in known or item(name):
            return True
        root, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        return root == prefix and (other == own or other in past) and name in facts[other]

    return knows


def _holder(holder: Mapping[str, Any], by_name: Mapping[str, Template]) -> Iterator[str]:
    ways = [way for way in ("template", "templateRef", "inline") if way in holder]
    if len(ways) != 1:
        yield f"runs {' and '.join(ways) or 'nothing'}; it must be one of template, templateRef, inline"
    if sum(way in holder for way in ("withItems", "withParam", "withSequence")) > 1:
        yield "has more than one of withItems, withParam, withSequence"
    if {"count", "end"} <= holder.get("withSequence", {}).keys():
        yield "has both count and end in withSequence"
    yield from _arguments(holder.get("arguments", {}), "arguments", needs_values=True)
    if "template" in holder:
        yield from _call(holder["template"], holder.get("arguments", {}), by_name)
    for name, hook in holder.get("hooks", {}).items():
        if name != "exit" and not hook.get("expression"):
            yield f"has the hook {name} without an expression"
        if "template" in hook:
            yield from _call(hook["template"], hook.get("arguments", {}), by_name)


def _call(name: str, arguments: Mapping[str, Any], by_name: Mapping[str, Template]) -> Iterator[str]:
    callee = by_name.get(name)
    if callee is None:
        yield f"names the template {name}, which does not exist"
        return
    supplied = _argument_names(arguments)
    yield from _unsupplied(callee, supplied)
    taken = _argument_names(callee.get("inputs", {}))
    yield from (f"gives {name} the {extra}, which it does not take" for extra in sorted(supplied - taken))

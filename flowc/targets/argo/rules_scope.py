"""In: texts with Argo's `{{tags}}` and the names in reach. Out: the references in the texts, and those that nothing resolves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ROOTS = r"(?:tasks|steps|inputs|outputs|workflow|item|retries|lastRetry|pod|node|loop)"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
# In an expression: a path from one of Argo's roots, or a string literal (which is skipped).
_PATH = re.compile(rf"(?<![\w.])({_ROOTS}(?:\??\.[A-Za-z_]\w*|\[(?:{_QUOTED})\])*)(?![\w(])|{_QUOTED}")
_PART = re.compile(rf"\??\.([A-Za-z_]\w*)|\[({_QUOTED})\]")

_FACTS = """
name namespace mainEntrypoint serviceAccountName uid status duration scheduledTime creationTimestamp creationTimestamp.RFC3339
creationTimestamp.s annotations annotations.json labels labels.json
"""
_WORKFLOW = frozenset(f"workflow.{fact}" for fact in _FACTS.split())
_EXPRESSIONS = frozenset(("expression", "fromExpression"))
_RETRY = frozenset(("retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message"))
_ANYWHERE = frozenset(("node.name", "tasks.name", "steps.name"))
_NODE_FACTS = ("id", "startedAt", "finishedAt", "hostNodeName", "status", "ip")
PODS = ("container", "containerSet", "script", "resource", "data")
LEAVES = (*PODS, "http", "plugin", "suspend")
TYPES = (*LEAVES, "dag", "steps")
_WITH_RESULT = ("container", "containerSet", "script", "data", "http", "plugin")

Knows = Callable[[str], bool]


def tags(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each tag with the references in it: itself, or the paths in an expression `{{=...}}`."""
    if "{{" not in text:
        return
    rest = text
    for match in _TAG.finditer(text):
        inner = match[1]
        yield inner, references(inner[1:]) if inner.startswith("=") else [inner.strip()]
        rest = text[match.end() :]
    if "{{" in rest:
        yield rest[rest.index("{{") :][:40], ["an end"]


def references(expression: str) -> list[str]:
    """The paths in an expression, with dots: `tasks['a-b'].status` is tasks.a-b.status."""
    found = []
    for match in _PATH.finditer(expression):
        if match[1]:
            root = re.match(r"\w+", match[1])
            assert root is not None
            parts = [plain or quoted[1:-1] for plain, quoted in _PART.findall(match[1])]
            found.append(".".join([root[0], *parts]))
    return found


def uses(value: Any) -> list[tuple[str, str]]:
    """All references in a value's strings, each with what to show of the text: its tags and bare expressions."""
    found: list[tuple[str, str]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            found += ((reference, f"{{{{{tag[:80]}}}}}") for tag, named in tags(item) for reference in named)
        elif isinstance(item, dict):
            for key, inner in item.items():
                if key in _EXPRESSIONS and isinstance(inner, str):
                    found += ((reference, inner[:80]) for reference in references(inner))
                elif not isinstance(inner, str) or "{{" in inner:
                    waiting.append(inner)
            waiting += (key for key in item if "{{" in key)
        elif isinstance(item, (list, tuple)):
            waiting += item
    return found


def unresolved(used: Iterable[tuple[str, str]], knows: Knows) -> Iterator[str]:
    """Those of the uses that refer to nothing, each as the end of a sentence."""
    return (f"refers to {reference} in {shown}, which is nothing there" for reference, shown in used if not knows(reference))


def of_workflow(spec: Mapping[str, Any]) -> frozenset[str]:
    """What every text of a workflow may refer to."""
    parameters = spec.get("arguments", {}).get("parameters", ())
    metadata = spec.get("workflowMetadata", {})
    named = {f"workflow.parameters.{p['name']}" for p in parameters}
    named |= {"workflow.parameters", "workflow.parameters.json"} if parameters else set()
    named |= {"workflow.priority"} if "priority" in spec else set()
    named |= {"workflow.failures"} if "onExit" in spec else set()
    for part in ("labels", "annotations", "labelsFrom"):
        named |= {f"workflow.{part.removesuffix('From')}.{key}" for key in metadata.get(part, ())}
    for template in spec.get("templates", ()):
        outputs = template.get("outputs", {})
        for part in ("parameters", "artifacts"):
            named |= {f"workflow.outputs.{part}.{o['globalName']}" for o in outputs.get(part, ()) if "globalName" in o}
    return _WORKFLOW | _ANYWHERE | named


def of_template(template: Mapping[str, Any], *, retried: bool) -> frozenset[str]:
    """What the texts of one template may refer to besides, its tasks not counted."""
    named = {"inputs.parameters", "inputs.artifacts"}
    named |= {f"inputs.parameters.{p['name']}" for p in template.get("inputs", {}).get("parameters", ())}
    for artifact in template.get("inputs", {}).get("artifacts", ()):
        named |= {f"inputs.artifacts.{artifact['name']}", f"inputs.artifacts.{artifact['name']}.path"}
    if any(kind in template for kind in LEAVES):
        for part in ("parameters", "artifacts"):
            named |= {f"outputs.{part}.{o['name']}{end}" for o in template.get("outputs", {}).get(part, ()) for end in ("", ".path")}
        named |= {"outputs.result", "outputs.exitCode"}
    if any(kind in template for kind in PODS):
        named.add("pod.name")
    return frozenset(named | _RETRY if retried else named)


def of_node(prefix: str, template: Mapping[str, Any] | None) -> frozenset[str]:
    """What is known of a task or step once it ran; `prefix` is `tasks.a`. Of a template elsewhere (None) anything may be asked."""
    named = {f"{prefix}.{fact}" for fact in _NODE_FACTS}
    if template is None:
        return frozenset(named)
    if any(kind in template for kind in _WITH_RESULT):
        named |= {f"{prefix}.outputs.result", f"{prefix}.exitCode"}
    for part in ("parameters", "artifacts"):
        for output in template.get("outputs", {}).get(part, ()):
            named |= {f"{prefix}.outputs.{part}.{output['name']}", f"{prefix}.outputs.{part}"}
    return frozenset(named)


def of_items(holder: Mapping[str, Any]) -> Knows:
    """Whether a task's own texts may say `item`."""
    items: Sequence[Any] = holder.get("withItems", ())
    if "withParam" in holder:
        return lambda name: name == "item" or name.startswith("item.")
    if "withSequence" in holder:
        return lambda name: name == "item"
    keys = {f"item.{key}" for item in items if isinstance(item, Mapping) for key in item}
    return lambda name: bool(items) and (name == "item" or name in keys)


def either(*known: Iterable[str]) -> Knows:
    """Whether a name is in one of the sets."""
    sets = [k if isinstance(k, frozenset) else frozenset(k) for k in known]
    return lambda name: any(name in one for one in sets)

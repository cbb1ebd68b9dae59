"""In: what a WorkflowTemplate does when a run has ended, Metaflow's way or flowc's. Out: its notifications and exit hooks by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowc.comparison.records import UNKNOWN, Reading, merged, rows, table

CAPTURE = ("error-msg-capture-hook", "capture-error-hook-fn-preflight", "exit-hook-hack")
"""Metaflow's own: a pod that prints what failed, and a template without which Argo would run no hooks."""
SCRIPT = "METAFLOW_ARGO_WORKFLOWS_CAPTURE_ERROR_SCRIPT"
LIKE_STEPS = (
    "Exit hooks: their pods have the variables and resources of the compiler's own; flowc's, the first step's pull policy and user too."
)
SECRETLY = "Notifications: whom they reach, and their words; flowc's pods read the address or key from a Secret."
OF_HOOKS = ("name", "container", "http", "metadata", "serviceAccountName", "podSpecPatch", "inputs")
OF_HOOK_PODS = ("name", "command", "args", "image", "env", "envFrom", "resources", "imagePullPolicy", "securityContext")
WHEN = {
    "workflow.status == 'Succeeded'": "success",
    "workflow.status == 'Error' || workflow.status == 'Failed'": "error",
    "{{workflow.status}} == Succeeded": "success",
    "{{workflow.status}} != Succeeded": "error",
}


def read_hooks(spec: dict[str, Any], templates: Mapping[str, dict[str, Any]], defaults: Mapping[str, Any], reading: Reading) -> set[str]:
    """Note the hooks; returns the templates that they are made of. Takes `onExit` and `hooks` from the spec where they are understood."""
    seen = set()
    on_exit, hooks = spec.get("onExit"), table(spec.get("hooks"))
    called = [row for group in table(templates.get(str(on_exit))).get("steps") or [] for row in rows(group)]
    calls = [(str(row.get("template")), str(row.get("when"))) for row in called]
    calls += [(str(hook.get("template")), str(hook.get("expression"))) for hook in hooks.values()]
    for name, when in calls:
        template = templates.get(name)
        if template is None:
            continue
        seen.add(name)
        if name in CAPTURE:
            _captured(template, reading)
            continue
        facts = _hook(merged({**defaults, "container": {}}, template) if "container" in template else template, defaults, spec)
        reading.hooks[name] = {"on": WHEN.get(when, when), **facts}
        reading.by_design[LIKE_STEPS if "function" in facts else SECRETLY] = None
        rest = {key: value for key, value in template.items() if key not in OF_HOOKS}
        inside = {key: value for key, value in table(template.get("container")).items() if key not in OF_HOOK_PODS}
        reading.leave({**rest, "container": inside}, f"spec.templates[{name}]")
    if on_exit is None or on_exit in templates:
        spec.pop("onExit", None)
        seen.add(str(on_exit))
    if all(str(table(hook).get("template")) in seen for hook in hooks.values()):
        spec.pop("hooks", None)
    return seen


def _captured(template: Mapping[str, Any], reading: Reading) -> None:
    if "container" not in template:
        return
    reading.by_design["capture"] = None
    script = next((row.get("value") for row in rows(table(template["container"]).get("env")) if row.get("name") == SCRIPT), None)
    if script:
        reading.hooks["the script that captures errors"] = {"on": "error", "script": script}


def _hook(template: Mapping[str, Any], defaults: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """A function of the flow with its image and secrets, or that it notifies; addresses and keys are secret, so they are not compared."""
    container = table(template.get("container"))
    command = " ".join(map(str, [*container.get("command", []), *container.get("args", [])]))
    function = re.search(r"exit_hook_script \S+ (\w+)", command) if command.startswith("bash -c ") else None
    name = str(table(table(template.get("metadata")).get("annotations")).get("metaflow/step_name", ""))
    ran = function[1] if function else name.removeprefix("_hook_") if name.startswith("_hook_") else None
    if ran is None:
        return {"notifies": True} if "http" in template or "NOTIFY_SECRET" in str(container.get("env")) else {"command": command}
    shared = table(defaults.get("container"))
    secrets = rows(container.get("envFrom") or shared.get("envFrom"))
    maps = {table(each.get("configMapRef")).get("name") for each in secrets}
    like_steps: dict[str, Any] = {"image_pull_policy": UNKNOWN, "security_context": UNKNOWN}
    if not function:
        policy = container.get("imagePullPolicy") or shared.get("imagePullPolicy")
        like_steps = {"image_pull_policy": policy, "security_context": table(container.get("securityContext"))}
    return {
        "function": ran,
        "image": container.get("image") or shared.get("image"),
        "secrets": sorted(str(ref["name"]) for each in secrets if (ref := table(each.get("secretRef"))) and ref["name"] not in maps),
        "service_account": template.get("serviceAccountName") or spec.get("serviceAccountName"),
        **like_steps,
    }

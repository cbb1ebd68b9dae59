"""In: the DAG templates of a WorkflowTemplate, Metaflow's or flowc's. Out: the order of its steps: when each runs, in which foreach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowc.comparison.conditions import ALWAYS, Atom, Condition, ConditionError, both, one, parsed, told
from flowc.comparison.records import Reading, rows, table

CHOICE = re.compile(
    r"""\{\{=\(tasks\['(?P<a>[-\w]+)'\]\.status\s*==\s*'Succeeded'\s*\?\s*tasks\['(?P=a)'\]\.outputs\.parameters\['switch-step'\]\s*:\s*nil\)"""
    r"""\s*==\s*'(?P<at>\w+)'\}\}|'?\{\{tasks\.(?P<b>[-\w]+)\.outputs\.parameters\.(?:case|switch-step)\}\}'?\s*==\s*'?(?P<bt>\w+)'?"""
)
STATUS = re.compile(r"\{\{tasks\.([-\w]+)\.status\}\}\s*==\s*'?Succeeded'?")
OWNER = re.compile(r"\{\{tasks\.([-\w]+)\.outputs\.parameters\.(?:num-splits|splits)\}\}")
# What tells a task which tasks came before: task ids, paths, indices. Both compilers give them, each in its own way.
PLUMBING = (
    "input-paths", "split-index", "root-input-path", "split-cardinality", "num-parallel", "task-id-entropy", "jobset-name", "workerCount",
    "path", "round",
)  # fmt: skip


@dataclass(slots=True)
class Order:
    """Reads the DAGs of `templates` (by name, as they are) into a Reading. `steps`: the step that a template runs, by its name."""

    templates: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, str]
    reading: Reading
    seen: set[str]

    def read(self, name: str, scope: tuple[str, ...] = ()) -> None:
        """The tasks of one DAG, and those of the DAGs that it calls."""
        self.seen.add(name)
        tasks = {str(task.get("name")): task for task in rows(table(self.templates[name].get("dag")).get("tasks"))}
        self._note_the_rest(name, tasks)
        meanings: dict[str, Condition] = {}
        for task in tasks:
            self._meaning(task, tasks, meanings, scope, ())
        for task, value in tasks.items():
            inner = self.templates.get(str(value.get("template")), {})
            if "dag" not in inner:
                continue
            owner, gang = self._owner(value), self._is_gang(inner)
            if str(value["template"]) in self.seen:
                self.reading.leave("a second task of the same DAG", f"tasks[{task}]")
                continue
            self.read(str(value["template"]), scope if gang or owner is None else (*scope, owner))
            if gang:
                self.reading.runs_after[self._gang_step(inner)] = self._runs_after(task, tasks, meanings, scope)

    def _meaning(
        self,
        task: str,
        tasks: Mapping[str, Mapping[str, Any]],
        meanings: dict[str, Condition],
        scope: tuple[str, ...],
        under: tuple[str, ...],
    ) -> Condition:
        """What it means that the task succeeded. Notes when the step of it runs."""
        if task in meanings:
            return meanings[task]
        if task in under or task not in tasks:
            return one(Atom("text", f"the task {task}"))
        for before in self._waits_for(tasks[task]):
            self._meaning(before, tasks, meanings, scope, (*under, task))
        here = self._runs_after(task, tasks, meanings, scope)
        step = self._step(tasks[task])
        inner = self.templates.get(str(tasks[task].get("template")), {})
        owner = self._owner(tasks[task])
        if step is not None:
            found = one(Atom("ran", step))
            if step in self.reading.runs_after:
                self.reading.leave(f"a second task {task}", f"tasks.{step}")
            else:
                self.reading.runs_after[step], self.reading.scopes[step] = here, scope
        elif self._is_gate(inner):
            self.seen.add(str(tasks[task]["template"]))
            found = here
        elif "dag" in inner and owner is not None:
            if here != one(Atom("ran", owner)):
                self.reading.leave(told(here) or "at once", f"the foreach of {owner} runs after")
            found = one(Atom("ran", self._gang_step(inner))) if self._is_gang(inner) else one(Atom("all", owner))
        else:
            found = one(Atom("text", f"the task {task}"))
        meanings[task] = found
        return found

    def _runs_after(
        self, task: str, tasks: Mapping[str, Mapping[str, Any]], meanings: Mapping[str, Condition], scope: tuple[str, ...]
    ) -> Condition:
        """`depends` and `when` of a task together; the first of a foreach runs for each of its items."""

        def word(text: str) -> Condition:
            name, _, result = text.partition(".")
            return meanings.get(name, one(Atom("text", f"the task {name}"))) if result == "Succeeded" else one(Atom("text", text))

        def chosen(text: str) -> Condition:
            atom = atoms.get(text)
            return one(Atom("text", text)) if atom is None else atom

        atoms: dict[str, Condition] = {}

        def noted(condition: Condition) -> str:
            atoms[f"@{len(atoms)}"] = condition
            return f"@{len(atoms) - 1}"

        def choice(match: re.Match[str]) -> str:
            return noted(self._chose(match["a"] or match["b"], match["at"] or match["bt"], tasks))

        depends, when = _depends(tasks[task]), str(tasks[task].get("when") or "")
        try:
            first = parsed(depends, word) if depends else one(Atom("each", scope[-1])) if scope else ALWAYS
        except ConditionError:
            first = one(Atom("text", depends))
        text = STATUS.sub(lambda match: noted(meanings.get(match[1], one(Atom("text", match[0])))), CHOICE.sub(choice, when))
        try:
            second = parsed(text, chosen) if when else ALWAYS
        except ConditionError:
            second = one(Atom("text", when))
        return both(first, second)

    def _chose(self, task: str, case: str, tasks: Mapping[str, Mapping[str, Any]]) -> Condition:
        step = self._step(tasks.get(task, {}))
        return one(Atom("chose", step, case)) if step else one(Atom("text", f"{task} == {case}"))

    def _waits_for(self, task: Mapping[str, Any]) -> list[str]:
        return re.findall(r"([A-Za-z0-9][-A-Za-z0-9]*)\.[A-Z]", _depends(task))

    def _step(self, task: Any) -> str | None:
        """The step that a task runs, also in a loop."""
        name = str(table(task).get("template"))
        if name in self.steps:
            return self.steps[name]
        found = [self.steps[inner] for inner in self._rounds(name) if inner in self.steps]
        if not found:
            return None
        self.seen.add(name)
        self.reading.steps[found[0]]["loops"] = self._loops(name, found[0])
        return found[0]

    def _rounds(self, name: str) -> list[str]:
        """The templates that a template of `steps` calls, itself among them where it is a loop."""
        called = [str(row.get("template")) for group in self.templates.get(name, {}).get("steps") or [] for row in rows(group)]
        return called if name in called else []

    def _loops(self, name: str, step: str) -> Any:
        """True where the step is run again as long as it chooses itself; else the condition as it stands."""
        again = [row for group in self.templates[name].get("steps") or [] for row in rows(group) if row.get("template") == name]
        when = " ".join(str(row.get("when")) for row in again)
        return (
            True
            if re.fullmatch(rf"'?\{{\{{steps\.[-\w]+\.outputs\.parameters\.(case|switch-step)\}}\}}'?\s*==\s*'?{step}'?", when)
            else when
        )

    def _is_gate(self, template: Mapping[str, Any]) -> bool:
        """A task that does nothing: it is there for its `when`."""
        called = [row for group in template.get("steps") or [] for row in rows(group)]
        return bool(called) and all(row.get("when") == "false" for row in called)

    def _owner(self, task: Mapping[str, Any]) -> str | None:
        """The step whose items a fan-out is over."""
        over = task.get("withParam") or table(task.get("withSequence")).get("count")
        match = OWNER.fullmatch(str(over)) if over else None
        return self.steps.get(match[1], match[1].replace("-", "_")) if match else None

    def _gang_step(self, template: Mapping[str, Any]) -> str:
        return next((step for task in rows(table(template.get("dag")).get("tasks")) if (step := self._step(task))), "")

    def _is_gang(self, template: Mapping[str, Any]) -> bool:
        """A fan-out of one step that is a JobSet: its tasks are pods of that, no tasks of Argo."""
        called = [self.templates.get(str(task.get("template")), {}) for task in rows(table(template.get("dag")).get("tasks"))]
        return len(called) == 1 and "resource" in called[0]

    def _note_the_rest(self, name: str, tasks: Mapping[str, Mapping[str, Any]]) -> None:
        """Fields of tasks that are no order: retries of a task, hooks, arguments that no compiler gives."""
        known = ("name", "template", "depends", "dependencies", "when", "withParam", "withSequence", "arguments")
        template = {key: value for key, value in self.templates[name].items() if key not in ("name", "dag", "inputs", "outputs")}
        dag = {
            key: value
            for key, value in table(self.templates[name].get("dag")).items()
            if key != "tasks" and (key, value) != ("failFast", True)
        }
        self.reading.leave({**template, **dag}, f"templates[{name}]")
        for task, value in tasks.items():
            rest = {key: each for key, each in value.items() if key not in known}
            if self._owner(value) is None:
                rest |= {key: value[key] for key in ("withParam", "withSequence") if key in value}
            arguments = table(value.get("arguments"))
            given = [each for each in rows(arguments.get("parameters")) if each.get("name") not in PLUMBING]
            more = {key: each for key, each in arguments.items() if key != "parameters"}
            self.reading.leave({**rest, **more, "parameters": given}, f"templates[{name}].tasks[{task}]")


def _depends(task: Mapping[str, Any]) -> str:
    """`depends`, or what Metaflow before 2.17 wrote instead: the names of tasks that must all have run."""
    names = [f"{name}.Succeeded" for name in task.get("dependencies") or []]
    return str(task.get("depends") or " && ".join(names))

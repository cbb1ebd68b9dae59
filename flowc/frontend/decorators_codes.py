"""In: nothing. Out: the diagnostic codes of decorators, FC300 to FC309, FC341 and FC342, with the flows that show them."""

from __future__ import annotations

from flowc.diagnostics import Code, Example, Severity

_STEPS = """    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def flow_with(decorators: str, imports: str = "kubernetes, retry", before: str = "", on_class: str = "") -> str:
    """The flow of the examples: `before` starts on line 2; without it, decorators of `start` start on line 4."""
    head = f"from metaflow import FlowSpec, {imports}, step\n{before}\n"
    return f"{head}{on_class}class Hello(FlowSpec):\n" + "".join(f"    {line}\n" for line in decorators.splitlines()) + _STEPS


UNKNOWN_ATTRIBUTE = Code(
    "FC300",
    "attribute that the decorator does not have",
    "Metaflow refuses a decorator with an attribute that it does not know (InvalidDecoratorAttribute).",
    bad=Example({"flow.py": flow_with("@kubernetes(cpus=4)\n@step")}, line=4),
    good=Example({"flow.py": flow_with("@kubernetes(cpu=4)\n@step")}),
)
NOT_A_STEP = Code(
    "FC301",
    "step decorator on what is no step",
    "A step decorator goes above @step, on a method. Below @step, or without it, Metaflow raises BadStepDecoratorException.",
    bad=Example({"flow.py": flow_with("@step\n@retry")}, line=5),
    good=Example({"flow.py": flow_with("@retry\n@step")}),
)
NOT_A_FLOW = Code(
    "FC302",
    "flow decorator on what is no flow",
    "A flow decorator goes above the class of the flow. Anywhere else Metaflow raises BadFlowDecoratorException.",
    bad=Example({"flow.py": flow_with('@project(name="a")\n@step', "project")}, line=4),
    good=Example({"flow.py": flow_with("@step", "project", on_class='@project(name="a")\n')}),
)
DUPLICATE = Code(
    "FC303",
    "decorator that stands twice",
    "Metaflow allows a decorator once on a step or flow, base classes included; only @card and @exit_hook may be repeated.",
    bad=Example({"flow.py": flow_with("@retry(times=1)\n@retry\n@step")}, line=4),
    good=Example({"flow.py": flow_with("@retry(times=1)\n@step")}),
)
POSITIONAL = Code(
    "FC304",
    "positional argument of a decorator",
    "Metaflow's decorators take attributes by name only. It takes a positional argument for the step itself and refuses it.",
    bad=Example({"flow.py": flow_with("@retry(4)\n@step")}, line=4),
    good=Example({"flow.py": flow_with("@retry(times=4)\n@step")}),
)
UNREADABLE = Code(
    "FC305",
    "decorator that may hide a Metaflow decorator",
    "A decorator of your own acts in the pod, which runs your source, and is carried as it is. One that applies Metaflow's decorators "
    "changes what is deployed; where its code cannot be followed without running it, flowc does not know what it adds.\n"
    'Say it in `[tool.flowc.decorators]`: "ignore" where it acts in the pod only, else what it adds, as Metaflow\'s --with spells it: '
    '["kubernetes:cpu=8", "retry:times=2"].',
    bad=Example(
        {"flow.py": flow_with("@big\n@step", before="from sizes import pick\n\n\ndef big(f):\n    return pick(kubernetes)(f)\n")},
        line=9,
    ),
    good=Example(
        {"flow.py": flow_with("@big\n@step", before="from sizes import pick\n\n\ndef big(f):\n    return pick(kubernetes)(f)\n")},
        settings={"decorators": {"flow.big": ["kubernetes:cpu=8"]}},
    ),
)
_MUTATOR = "from metaflow import StepMutator\n\n\nclass Careful(StepMutator):\n    def mutate(self, mutable_step):\n"
MUTATOR = Code(
    "FC306",
    "mutator whose effect cannot be read",
    "A StepMutator or FlowMutator changes decorators when Metaflow deploys. flowc follows add_decorator, remove_decorator and "
    "conditions that the text decides; anything else would need the flow to run.\n"
    'Say the effect in `[tool.flowc.decorators]`: "ignore" where it matters in the pod only, else the decorators that it adds.',
    bad=Example({"flow.py": flow_with("@Careful\n@step", before=_MUTATOR + "        mutable_step.add_decorator(pick())\n")}, line=10),
    good=Example(
        {"flow.py": flow_with("@Careful\n@step", before=_MUTATOR + '        mutable_step.add_decorator(retry, deco_kwargs={"times": 4})\n')}
    ),
)
_WRAPPER = "def timed(f):\n    {}def wrapper(self):\n        return f(self)\n\n    return wrapper\n"
DROPS_STEP = Code(
    "FC307",
    "decorator that makes a step a plain method",
    "A decorator above @step that returns a new function without functools.wraps loses the mark of @step: Metaflow does not see it.",
    bad=Example({"flow.py": flow_with("@timed\n@step", before=_WRAPPER.format("")).replace("self.next(self.end)", "pass")}, line=9),
    good=Example({"flow.py": flow_with("@timed\n@step", before="import functools\n\n\n" + _WRAPPER.format("@functools.wraps(f)\n    "))}),
    severity=Severity.WARNING,
)
NOT_IN_CORE = Code(
    "FC308",
    "decorator of a Metaflow extension",
    "The name is not one of Metaflow's own, so an installed extension would provide it. What it does to a step is not known here.",
    bad=Example({"flow.py": flow_with("@gpu_profile\n@step", "gpu_profile")}, line=4),
    good=Example({"flow.py": flow_with("@gpu_profile\n@step", "gpu_profile")}, settings={"decorators": {"metaflow.gpu_profile": "ignore"}}),
)
CARRIED = Code(
    "FC309",
    "decorator whose code is not in sight",
    "A decorator from an installed package is carried, as the pod runs it. Should it apply Metaflow's decorators, flowc cannot "
    "see them; say so in `[tool.flowc.decorators]`.",
    bad=Example({"flow.py": flow_with("@tracing.traced\n@step", before="import tracing\n")}, line=5),
    good=Example(
        {"flow.py": flow_with("@tracing.traced\n@step", before="import tracing\n")}, settings={"decorators": {"tracing.traced": "ignore"}}
    ),
    severity=Severity.NOTE,
)
BAD_SPEC = Code(
    "FC341",
    "decorator in the settings that is no decorator",
    "`--with` and `[tool.flowc.decorators]` take decorators as Metaflow's --with does: NAME or NAME:attribute=value,attribute=value.",
    bad=Example({"flow.py": flow_with("@step")}, settings={"with_decorators": ("kubernetis:cpu=2",)}),
    good=Example({"flow.py": flow_with("@step")}, settings={"with_decorators": ("kubernetes:cpu=2",)}),
)
STEP_ARGUMENTS = Code(
    "FC342",
    "argument that @step does not take",
    "@step takes start, end and node_info by name, nothing else.",
    bad=Example({"flow.py": flow_with("@step(first=True)")}, line=4),
    good=Example({"flow.py": flow_with("@step(start=True)")}),
)

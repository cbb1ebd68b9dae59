"""Decorators come out as Metaflow holds them: its own ones, factories, compositions, wrappers, mutators; and what cannot be read is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from decorating import flow, held, held_by_metaflow
from reading import codes, imported, reading

if TYPE_CHECKING:
    from pathlib import Path

ENABLE = "def enable(deco, flag):\n    def wrap(f):\n        if flag:\n            return deco(f)\n        return f\n\n    return wrap\n"
COMPOSE = "def compose(*decos):\n    def wrap(f):\n        for deco in reversed(decos):\n            f = deco(f)\n        return f\n\n    return wrap\n"
DUAL = (
    "def dual(f=None, *, times=1):\n    def wrap(f):\n        return retry(times=times)(f)\n\n    return wrap if f is None else wrap(f)\n"
)
TIMED = "def timed(f):\n    @functools.wraps(f)\n    def wrapper(self):\n        print(f.__name__)\n        return f(self)\n\n    return wrapper\n"
CLASS = "class Size:\n    def __init__(self, cpu):\n        self.cpu = cpu\n\n    def __call__(self, f):\n        return kubernetes(cpu=self.cpu)(f)\n"
ENUM = "from enum import Enum\n\n\nclass Gpu(str, Enum):\n    A = 'a100'\n"
DATA = "from dataclasses import dataclass, field\n\n\n@dataclass\nclass Size:\n    cpu: int = 2\n    labels: dict = field(default_factory=dict)\n\n\nBIG = Size(cpu=16)\n"

SAME_AS_METAFLOW = {
    "bare, called, called empty": ("@retry\n@kubernetes(cpu=2)\n@catch()\n@step", "", ""),
    "step called": ("@retry(times=4)\n@step()", "", ""),
    "constants": ("@kubernetes(cpu=CPU, memory=CPU * 1024)\n@step", "CPU = 4\n", ""),
    "spread": ("@kubernetes(**COMMON, gpu=1)\n@step", "COMMON = dict(cpu=2, image='a')\n", ""),
    "f-string": ("@kubernetes(image=f'{HOST}/train:{1.5:.2f}')\n@step", "HOST = 'example.com'\n", ""),
    "conditional": ("@kubernetes(cpu=8 if BIG else 1)\n@step", "BIG = not True\n", ""),
    "if at module level": ("@kubernetes(cpu=CPU)\n@step", "BIG = 2 > 1\nif BIG:\n    CPU = 8\nelse:\n    CPU = 1\n", ""),
    "dataclass": ("@kubernetes(cpu=BIG.cpu, labels=BIG.labels)\n@step", DATA, ""),
    "str Enum": ("@kubernetes(node_selector={'gpu': Gpu.A.value})\n@step", ENUM, ""),
    "class constant": ("@environment(vars=VARS)\n@step", "", "    VARS = {'A': '1'}\n"),
    "rebound before": ("@kubernetes(cpu=CPU)\n@step", "CPU = 1\nCPU = 2\n", ""),
    "comprehension": ("@environment(vars={f'V{i}': str(i) for i in range(3)})\n@step", "", ""),
    "factory": ("@big()\n@step", "def big(cpu=8):\n    return kubernetes(cpu=cpu, memory=cpu * 1000)\n", ""),
    "factory with kwargs": ("@gpu(2, cpu=3)\n@step", "def gpu(n, **rest):\n    return resources(gpu=n, **rest)\n", ""),
    "applied within": ("@big\n@step", "def big(f):\n    return retry(times=3)(kubernetes(cpu=2)(f))\n", ""),
    "applied bare within": ("@big\n@step", "def big(f):\n    return retry(kubernetes(f))\n", ""),
    "enabled": ("@enable(batch(cpu=2), False)\n@enable(kubernetes(cpu=2), True)\n@step", ENABLE, ""),
    "composed": ("@compose(retry, kubernetes(cpu=1), card(type='blank'))\n@step", COMPOSE, ""),
    "dual bare": ("@dual\n@step", DUAL, ""),
    "dual called": ("@dual(times=7)\n@step", DUAL, ""),
    "callable object": ("@Size(6)\n@step", CLASS, ""),
    "constant decorator": ("@GPU\n@step", "GPU = kubernetes(gpu=1)\n", ""),
    "decorator in a table": ("@TABLE['gpu']\n@step", "TABLE = {'gpu': kubernetes(gpu=1)}\n", ""),
    "partial": ("@small(memory=3)\n@step", "small = functools.partial(kubernetes, cpu=2)\n", ""),
    "partial of a decorator applied": ("@small\n@step", "small = functools.partial(kubernetes, cpu=2)\n", ""),
    "wrapped": ("@retry\n@timed\n@kubernetes\n@step", TIMED, ""),
    "many cards": ("@card(type='a')\n@card(type='b', id='c')\n@step", "", ""),
    "step twice": ("@step\n@retry\n@step", "", ""),
    "lambda": ("@both\n@step", "both = lambda f: retry(kubernetes(cpu=1)(f))\n", ""),
    "user step decorator": (
        "@mine\n@mine2(a=1)\n@step",
        "@user_step_decorator\ndef mine(step_name, flow, inputs):\n    yield\n\n\nclass mine2(UserStepDecorator):\n    def init(self, a):\n        pass\n",
        "",
    ),
    "import in the factory": ("@big\n@step", "def big(f):\n    from metaflow import batch as b\n\n    return b(cpu=1)(f)\n", ""),
    "attribute that is None": ("@kubernetes(image=None)\n@step", "", ""),
}


@pytest.mark.parametrize("case", SAME_AS_METAFLOW)
def test_steps_hold_what_metaflow_holds(case: str, tmp_path: Path) -> None:
    """Name, order and given attributes of every decorator equal those of the class that Metaflow makes of the same text."""
    decorators, before, body = SAME_AS_METAFLOW[case]
    text = flow(decorators, before, body=body)
    found = reading(text)
    assert codes(found) == []
    assert held(found) == held_by_metaflow({"flow.py": text}, tmp_path)


@pytest.mark.parametrize(
    "on_class",
    [
        "@project(name='a')\n@schedule(cron='0 * * * *')\n",
        "@trigger(events=['a', {'name': 'b', 'parameters': {'x': 'y'}}])\n",
        "@exit_hook(on_error=[bye, 'bye'])\n@exit_hook(on_success=[bye])\n",
        "@nightly\n",
        "@trigger_on_finish(flows=['A', 'B'])\n@conda_base(packages={'x': '1'}, python='3.11')\n",
    ],
)
def test_flows_hold_what_metaflow_holds(on_class: str, tmp_path: Path) -> None:
    """Flow decorators, also by way of a function over the class; functions of exit hooks by their names."""
    text = flow("@step", "def bye():\n    pass\n\n\ndef nightly(cls):\n    return schedule(daily=True)(project(name='n')(cls))\n", on_class)
    found = reading(text)
    assert codes(found) == []
    ours, theirs = held(found), held_by_metaflow({"flow.py": text}, tmp_path)
    assert sorted(map(str, ours[""])) == sorted(map(str, theirs[""]))


MODULES = {
    "common.py": "from sizes import *\nfrom metaflow import kubernetes as k8s\nimport metaflow as mf\n\nIMAGE = f'{REGISTRY}/t'\n\n\ndef big():\n    return k8s(cpu=8, image=IMAGE)\n",
    "sizes.py": "REGISTRY = 'r'\n_HIDDEN = 1\n",
    "team/__init__.py": "from .deco import careful\n",
    "team/deco.py": "import metaflow as mf\nfrom . import numbers as n\n\n\ndef careful(f):\n    return mf.retry(times=n.TIMES)(f)\n",
    "team/numbers.py": "TIMES = 5\n",
}


def test_sibling_modules_are_followed(tmp_path: Path) -> None:
    """Factories and constants of modules beside the flow, through stars, aliases, packages and relative imports."""
    before = "import common as c\nfrom team import careful as keep\n"
    text = flow("@c.big()\n@keep\n@c.mf.timeout(seconds=3)\n@step", before)
    files = {"flow.py": text} | MODULES
    found = reading(files)
    assert codes(found) == []
    assert held(found) == held_by_metaflow(dict(files), tmp_path)
    assert [m.path for m in found.flows[0].modules] == ["common.py", "sizes.py", "team/__init__.py", "team/deco.py", "team/numbers.py"]


REFUSED = {
    "unknown attribute": ("@kubernetes(cpus=2)\n@step", "", "", "FC300", "InvalidDecoratorAttribute"),
    "below @step": ("@step\n@retry", "", "", "FC301", "BadStepDecoratorException"),
    "no @step": ("@retry", "", "", "FC301", "BadStepDecoratorException"),
    "user decorator below @step": (
        "@step\n@mine",
        "class mine(UserStepDecorator):\n    pass\n",
        "",
        "FC301",
        "MetaflowException",
    ),
    "step decorator on the class": ("@step", "", "@retry\n", "FC301", "BadStepDecoratorException"),
    "flow decorator on a step": ("@project(name='a')\n@step", "", "", "FC302", "BadFlowDecoratorException"),
    "twice": ("@retry\n@retry(times=1)\n@step", "", "", "FC303", "DuplicateStepDecoratorException"),
    "twice by a factory": ("@again\n@retry\n@step", "def again(f):\n    return retry(f)\n", "", "FC303", "DuplicateStepDecoratorException"),
    "flow twice": ("@step", "", "@project(name='a')\n@project(name='b')\n", "FC303", "DuplicateFlowDecoratorException"),
    "positional": ("@retry(3)\n@step", "", "", "FC304", "BadStepDecoratorException"),
    "positional text": ("@step", "", "@project('a')\n", "FC304", "BadFlowDecoratorException"),
    "step keyword": ("@step(first=True)", "", "", "FC342", "TypeError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_where_metaflow_refuses(case: str, tmp_path: Path) -> None:
    """flowc reports its code for exactly what makes Metaflow raise when the class is made."""
    decorators, before, on_class, code, raised = REFUSED[case]
    text = flow(decorators, before, on_class)
    assert code in codes(reading(text))
    with pytest.raises(Exception) as error:
        imported({"flow.py": text}, tmp_path)
    assert type(error.value).__name__ == raised


def test_duplicate_of_a_base_flow_is_refused() -> None:
    """Flow decorators of base classes count as well."""
    text = flow("@step", "@project(name='a')\nclass Base(FlowSpec):\n    pass\n", "@project(name='b')\n").replace("F(FlowSpec)", "F(Base)")
    assert codes(reading(text)) == ["FC303"]


CARRIED = {
    "unknown body": "def mine(f):\n    print(open('x').read())\n\n    @functools.wraps(f)\n    def wrapper(self):\n        return f(self)\n\n    return wrapper\n",
    "returns the step": "REGISTRY = []\n\n\ndef mine(f):\n    REGISTRY.append(f)\n    return f\n",
    "update_wrapper": "def mine(f):\n    def wrapper(self):\n        f(self)\n\n    functools.update_wrapper(wrapper, f)\n    return wrapper\n",
    "wrapt": "import wrapt\n\n\n@wrapt.decorator\ndef mine(wrapped, instance, args, kwargs):\n    return wrapped(*args, **kwargs)\n",
    "logging": "import logging\n\nlog = logging.getLogger(__name__)\n\n\ndef mine(f):\n    log.info('x')\n    return f\n",
}


@pytest.mark.parametrize("case", CARRIED)
def test_wrappers_in_sight_are_carried(case: str) -> None:
    """A wrapper that names nothing of Metaflow's says nothing, and the step stays a step with its decorators."""
    found = reading(flow("@mine\n@retry\n@step", CARRIED[case]))
    assert codes(found) == []
    assert held(found)["start"] == [("retry", {})]


def test_wrappers_out_of_sight_are_a_note() -> None:
    """Third-party code cannot be judged, so it is carried and said; the standard library is not worth a note."""
    found = reading(flow("@tracing.traced(1)\n@functools.cache\n@retry\n@step", "import tracing\n"))
    assert codes(found) == ["FC309"]
    assert held(found)["start"] == [("retry", {})]


@pytest.mark.parametrize(
    ("decorators", "before"),
    [
        ("@mine\n@step", "def mine(f):\n    d = kubernetes(cpu=open('x').read())\n    return d(f) if os.cpu_count() > 2 else f\n"),
        ("@enable(batch(cpu=2), os.environ.get('A'))\n@step", ENABLE),
        ("@far(kubernetes(cpu=1))\n@step", "from far import far\n"),
        ("@mine\n@step", "def mine(f):\n    f.decorators.append(1)\n    return f\n"),
        ("@mine\n@step", "try:\n    from far import mine\nexcept ImportError:\n    def mine(f):\n        return retry(f)\n"),
        ("@mine\n@step", "def inner(f):\n    open('x')\n    return retry(f)\n\n\ndef mine(f):\n    return inner(f)\n"),
    ],
)
def test_what_may_hide_a_decorator_is_an_error(decorators: str, before: str) -> None:
    """Code that names a Metaflow decorator and cannot be followed is refused, with the key of the remedy."""
    (problem,) = reading(flow(decorators, before)).diagnostics
    assert problem.code.id == "FC305"
    assert "[tool.flowc.decorators]" in problem.help


def test_an_attribute_that_is_not_static_is_one_error_with_its_key() -> None:
    """One unknown attribute does not hide another; a given value, a table for ** and a declared environment solve them."""
    text = flow("@kubernetes(cpu=far(), image=os.environ['IMAGE'], memory=4)\n@retry(**far())\n@step", "from far import far\n")
    found = reading(text)
    assert codes(found) == ["FC340"] * 3
    assert [d.help.split('"')[-2] for d in found.diagnostics] == ["F.start.kubernetes.cpu", "F.start.kubernetes.image", "F.start.retry"]
    given = {"F.start.kubernetes.cpu": 3, "os.environ.IMAGE": "i", "F.start.retry": {"times": 2}}
    assert held(reading(text, values=given))["start"] == [("retry", {"times": 2}), ("kubernetes", {"cpu": 3, "image": "i", "memory": 4})]


def test_attributes_of_a_factory_have_keys_too() -> None:
    """An attribute that a factory leaves open is given by the step's own key, and placed at the decorator."""
    text = flow("@big()\n@step", "from far import far\n\n\ndef big():\n    return kubernetes(cpu=2, image=far())\n")
    (problem,) = reading(text).diagnostics
    assert (problem.code.id, problem.span and problem.span.line) == ("FC340", 13)
    assert held(reading(text, values={"F.start.kubernetes.image": "a"}))["start"] == [("kubernetes", {"cpu": 2, "image": "a"})]


def test_a_step_that_loses_its_mark_is_warned_about(tmp_path: Path) -> None:
    """Without functools.wraps Metaflow sees no step; with it, it does."""
    before = "def timed(f):\n    def wrapper(self):\n        return f(self)\n\n    return wrapper\n"
    text = flow("@timed\n@step", before)
    assert "FC307" in codes(reading(text))
    assert "start" not in held_by_metaflow({"flow.py": text}, tmp_path)


def test_extension_decorators_are_refused_with_the_remedy() -> None:
    """A name that core Metaflow does not have may change resources; the settings say what it does."""
    text = flow("@nim(models=[])\n@step").replace("from metaflow import *", "from metaflow import *\nfrom metaflow import nim")
    assert codes(reading(text)) == ["FC308"]
    assert held(reading(text, decorators={"metaflow.nim": ["kubernetes:gpu=1"]}))["start"] == [("kubernetes", {"gpu": 1})]


def test_settings_for_decorators_must_be_decorators() -> None:
    """A misspelt name or attribute in --with or the settings is said, with the near one."""
    found = reading(
        flow("@mine\n@step", CARRIED["returns the step"]), with_decorators=("retri",), decorators={"mine": ["kubernetes:cpus=2", 3]}
    )
    assert codes(found) == ["FC341"] * 3
    assert any("'retry'" in d.message for d in found.diagnostics)
    assert any("'cpu'" in d.message for d in found.diagnostics)


@pytest.mark.parametrize(
    "spec",
    [
        "retry",
        "kubernetes:cpu=2,memory=4096,image=a/b:c",
        "kubernetes:cpu=1.5, image = x",
        "card:type=blank,options={}",
        "resources:gpu=null",
        "kubernetes:use_tmpfs=true",
        'environment:vars={\\"A\\": 1}',
    ],
)
def test_specs_are_parsed_as_metaflow_parses_them(spec: str) -> None:
    """`--with` text gives Metaflow's own attributes."""
    from metaflow.decorators import extract_step_decorator_from_decospec

    from flowc.frontend.decorators_specs import parse

    theirs, _ = extract_step_decorator_from_decospec(spec)
    name, attributes = parse(spec)
    assert name == theirs.name
    assert attributes == {k: theirs.attributes[k] for k in theirs._user_defined_attributes}


def test_the_tables_are_the_installed_metaflows() -> None:
    """Names, attributes, defaults and repetition of every decorator, and the names of the package, equal those of the installed Metaflow."""
    import metaflow
    from metaflow.plugins import FLOW_DECORATORS, STEP_DECORATORS

    from flowc.frontend import decorators_table as ours

    for table, theirs in ((ours.STEP_DECORATORS, STEP_DECORATORS), (ours.FLOW_DECORATORS, FLOW_DECORATORS)):
        assert {k.name: (k.defaults, k.many) for k in table.values()} == {d.name: (d.defaults, d.allow_multiple) for d in theirs}
    public = {n for n in dir(metaflow) if not n.startswith("_") and type(getattr(metaflow, n)).__name__ != "module"}
    assert public == ours.CORE_NAMES


def test_what_the_pod_knows_only_is_not_read(tmp_path: Path) -> None:
    """Reading a flow that would write a file when imported leaves no trace."""
    trace = tmp_path / "trace"
    text = flow("@mine\n@step", f"open({str(trace)!r}, 'w').write('x')\n\n\ndef mine(f):\n    open({str(trace)!r}, 'w')\n    return f\n")
    assert codes(reading(text)) == []
    assert not trace.exists()

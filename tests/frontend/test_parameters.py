"""Parameters, included files and configs are those that Metaflow itself makes of the same class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import codes, imported, reading

from flowc.ir import Dynamic, Parameter, Value

if TYPE_CHECKING:
    from pathlib import Path

metaflow_parameters = pytest.importorskip("metaflow.parameters")
from metaflow._vendor import click  # noqa: E402
from metaflow.includefile import FilePathClass  # noqa: E402

HEAD = "from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, config_expr, step\n"
STEPS = "\n    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"

PARAMETERS = [
    'p = Parameter("p")',
    'p = Parameter(name="p", type=int)',
    'p = Parameter("p", 5)',
    'p = Parameter("p", 5, float)',
    'p = Parameter("learning-rate", default=0.1, help="How fast", required=True)',
    'p = Parameter("p", default=True)',
    'p = Parameter("p", type=bool, default="yes")',
    'p = Parameter("p", type=int, default="12")',
    'p = Parameter("p", type=int, default=True)',
    'p = Parameter("p", type=str, default=5)',
    'p = Parameter("p", default=None)',
    'p = Parameter("p", type=None, default=3)',
    'p = Parameter("p", type=JSONType, default=\'{"a": [1]}\')',
    'p = Parameter("p", type=JSONType, default={"a": [1, None]})',
    'p = Parameter("p", type=JSONType)',
    'p = Parameter("p", default="a,b", separator=",")',
    'p = Parameter("p", separator="|", help=None, show_default=False)',
    'p = Parameter("p", multiple=True, type=str)',
    'p = Parameter("p", default=lambda ctx: "x")',
    'p = Parameter("p", default=make, type=int)',
    'p = Parameter("p", default=BIG * 2, type=int, help=f"at most {BIG}")',
    'p = Parameter("p", **COMMON)',
    'p = Parameter("p", **{"default": 3})',
    'p = Parameter("UPPER_case-mix", default="a")',
    'p: int = Parameter("p", default=1)',
    'p, q = Parameter("p", default=1), Parameter("q", default="x")',
    "p = SHARED",
    'p = Parameter("p", type=int, envvar="X", default=2)',
]
PREFIX = (
    HEAD
    + 'BIG = 20\nCOMMON = {"default": 1, "type": int, "required": True}\nSHARED = Parameter("shared", default=7)\n\n\n'
    + "def make(ctx):\n    return 5\n\n\nclass F(FlowSpec):\n    "
)


def metaflow_of(folder: Path, files: dict[str, str | bytes]) -> dict[str, Any]:
    """What Metaflow holds of each parameter, in flowc's terms."""
    flow = imported(files, folder).F
    found = {}
    for attribute, parameter in flow._get_parameters():
        parameter.init()
        kind = parameter.kwargs["type"]
        name = "JSON" if kind is metaflow_parameters.JSONType else "File" if isinstance(kind, FilePathClass) else kind.__name__
        default = parameter.kwargs.get("default")
        if isinstance(default, metaflow_parameters.DeployTimeField):
            shown = default.print_representation
            default = str(shown) if name == "File" and not isinstance(shown, metaflow_parameters.DeployTimeField) else "dynamic"
        found[attribute] = (
            parameter.name, name, default, bool(parameter.kwargs["required"]), parameter.kwargs.get("help"), parameter.separator,
            bool(parameter.kwargs.get("multiple")),
        )  # fmt: skip
    return found


def ours(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    found = {}
    for p in parameters:
        default = "dynamic" if isinstance(p.default, Dynamic) else p.default.data if isinstance(p.default, Value) else None
        found[p.attribute] = (p.name, p.type, default, p.required, p.help, p.separator, p.multiple)
    return found


@pytest.mark.parametrize("line", PARAMETERS)
def test_a_parameter_is_what_metaflow_makes_of_it(line: str, tmp_path: Path) -> None:
    """Name, type, default, required, help, separator and multiple equal those of Metaflow's own object."""
    files: dict[str, str | bytes] = {"flow.py": PREFIX + line + "\n" + STEPS}
    found = reading(files)
    assert codes(found) == []
    assert ours(found.flows[0].parameters) == metaflow_of(tmp_path, files)


def test_parameters_are_inherited_overridden_and_sorted_as_metaflow_does(tmp_path: Path) -> None:
    """Parameters come from bases and modules beside the flow, one that is bound to something else is gone, the order is that of `dir()`."""
    files: dict[str, str | bytes] = {
        "flow.py": HEAD
        + "from base import Base\n\n\nclass F(Base):\n"
        + '    zeta = Parameter("zeta", default=1)\n    gone = None\n    kept = Parameter("kept", default="new")\n'
        + STEPS,
        "base.py": HEAD
        + '\n\nclass Mixin:\n    mixed = Parameter("mixed", default=0.5)\n\n\nclass Base(Mixin, FlowSpec):\n'
        + '    gone = Parameter("gone")\n    kept = Parameter("kept", default="old")\n    alpha = Parameter("alpha")\n',
    }
    found = reading(files)
    assert codes(found) == []
    theirs = metaflow_of(tmp_path, files)
    assert ours(found.flows[0].parameters) == theirs
    assert [p.attribute for p in found.flows[0].parameters] == list(theirs)


def test_included_files_are_delivered(tmp_path: Path) -> None:
    """The default of an IncludeFile is read beside the flow, also by way of `__file__`; text and encoding are kept."""
    files: dict[str, str | bytes] = {
        "flow.py": "import os\nfrom pathlib import Path\n"
        + HEAD
        + "HERE = os.path.dirname(os.path.abspath(__file__))\n\n\nclass F(FlowSpec):\n"
        + '    a = IncludeFile("a", default="data/a.csv", help="A", encoding="latin-1")\n'
        + '    b = IncludeFile("b", is_text=False, default=os.path.join(HERE, "data", "b.bin"))\n'
        + '    c = IncludeFile("c", required=True)\n    d = IncludeFile("d", default=lambda ctx: "d" + ".csv")\n'
        + STEPS,
        "data/a.csv": "a\n",
        "data/b.bin": b"\x00\xff",
        "d.csv": "d",
    }
    found = reading(files)
    assert codes(found) == []
    (flow,) = found.flows
    assert [(f.path, f.data) for f in flow.files] == [("d.csv", b"d"), ("data/a.csv", b"a\n"), ("data/b.bin", b"\x00\xff")]
    a, b, c, d = flow.parameters
    assert (a.type, a.is_text, a.encoding, a.help) == ("File", True, "latin-1", "A")
    assert isinstance(b.default, Value)
    assert (b.is_text, b.default.data) == (False, "data/b.bin")
    assert (c.required, c.default) == (True, None)
    assert isinstance(d.default, Dynamic)
    theirs = metaflow_of(tmp_path, files)
    assert {n: t[:2] for n, t in theirs.items()} == {p.attribute: (p.name, p.type) for p in flow.parameters}


@pytest.mark.parametrize(
    "path",
    [
        "os.path.join(os.path.dirname(__file__), 'data', 'a.csv')",
        "os.path.join(os.path.dirname(os.path.realpath(__file__)), 'data/a.csv')",
        "str(Path(__file__).parent / 'data' / 'a.csv')",
        "str(Path(__file__).resolve().parent.joinpath('data', 'a.csv'))",
        "(pathlib.Path(__file__).absolute().parent / DATA / 'a.csv').as_posix()",
        "f'{HERE}/data/a.csv'",
        "here('a.csv')",
        "module.PATH",
        "lambda ctx: here('a.csv')",
        "'./data/../data/a.csv'",
    ],
)
def test_a_path_from_the_place_of_the_file_is_known(path: str) -> None:
    """os.path and pathlib from `__file__`, also in a function, a constant or another module, give a path beside the flow."""
    before = "import os\nimport pathlib\nfrom pathlib import Path\n\nimport module\n\nHERE = Path(__file__).parent\nDATA = 'data'\n\n\n"
    before += "def here(name):\n    root = os.path.dirname(os.path.abspath(__file__))\n    return os.path.join(root, DATA, name)\n\n\n"
    files = {
        "flow.py": HEAD + before + f'class F(FlowSpec):\n    a = IncludeFile("a", default={path})\n' + STEPS,
        "data/a.csv": "a",
        "module.py": "import os\n\nPATH = os.path.join(os.path.dirname(__file__), 'data', 'a.csv')\n",
    }
    found = reading(files)
    assert codes(found) == []
    assert [f.path for f in found.flows[0].files] == ["data/a.csv"]


def test_the_place_of_the_file_reaches_no_other_value() -> None:
    """`__file__` is known for paths of files only: anywhere else its value is the pod's."""
    text = (
        PREFIX.replace("BIG = 20", "HERE = __file__\nBIG = 20")
        + 'p = Parameter("p", default=HERE)\n    a = IncludeFile("a", default=HERE)\n'
        + STEPS
    )
    assert codes(reading({"flow.py": text})) == ["FC340"]


defaults = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.sampled_from(["", "5", "1.5", "yes", "t", "no", "x", "[1]", "{", "nan", " 7 "]),
    st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=1),
)  # fmt: skip


@given(defaults, st.sampled_from(["int", "float", "str", "bool", "JSONType"]))
def test_a_default_is_refused_exactly_where_click_cannot_convert_it(default: Any, kind: str) -> None:
    """FC372 is reported for a default if and only if Metaflow's own option would fail on it."""
    found = reading(PREFIX + f'p = Parameter("p", type={kind}, default={default!r})\n' + STEPS)
    types: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "JSONType": metaflow_parameters.JSONType}
    option = click.Option(("--p",), type=types[kind])
    fails = False
    if default is not None:
        try:
            option.type.convert(default, option, None)
        except Exception:  # noqa: BLE001 - a crash of click is a refusal as well
            fails = True
    assert codes(found) == (["FC372"] if fails else [])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('p = Parameter("run-id")', "FC370"),
        ('p = Parameter("run_id")', "FC370"),
        ('p = Parameter("tags")', "FC370"),
        ('p = Parameter("x")\n    q = Parameter("X")', "FC371"),
        ('p = Parameter("a-b")\n    q = Parameter("a_b")', "FC371"),
        ('p = Parameter("p", default="a", type=int)', "FC372"),
        ('p = IncludeFile("p", default=5)', "FC372"),
        ('p = Parameter("p", default=5, separator=",")', "FC373"),
        ('p = Parameter("p", default=lambda ctx: "a,b", separator=",")', "FC373"),
        ('p = IncludeFile("p", default="s3://bucket/file")', "FC374"),
        ('p = IncludeFile("p", default="missing.csv")', "FC374"),
        ('p = Parameter("two words")', "FC376"),
        ("p = Parameter(5)", "FC376"),
        ('p = Parameter("p", type=list)', "FC377"),
        ('p = Parameter("p", type="int")', "FC377"),
        ('p = Parameter("p", default={})', "FC377"),
        ('p = Parameter("p", separator=make)', "FC378"),
        ("p = Parameter(*COMMON)", "FC384"),
        ("p = Parameter()", "FC384"),
        ('p = Parameter("p", name="q")', "FC384"),
        ('p = IncludeFile("p", type=str)', "FC384"),
        ('p = Config("p", type=str)', "FC384"),
        ('index = Parameter("p")', "FC385"),
        ('p = IncludeFile("p", default="../a.csv")', "FC386"),
        ('p = IncludeFile("p", default=lambda ctx: ctx.flow_name)', "FC387"),
        ('p = Parameter("p", default=make(1).x)', "FC340"),
        ('p = Parameter("p", help=unknown)', "FC340"),
        ('p = extension.Parameter("p")', "FC375"),
        ('p = Own("p")', "FC375"),
        ('p = Parameter("p") if BIG else None', "FC375"),
        ('p = None or Parameter("p")', "FC375"),
        ('p = {"x": Parameter("p")}["x"]', "FC375"),
        ('p = (lambda: Parameter("p"))()', "FC375"),
        ('p = print(Parameter("p"))', "FC375"),
        ('(p := Parameter("p"))', "FC375"),
        ('for each in "p":\n        p = Parameter(each)', "FC375"),
        ('if Parameter("p"):\n        pass', "FC375"),
    ],
)
def test_what_metaflow_refuses_of_a_parameter_is_refused(line: str, code: str) -> None:
    """Each refusal has its code, at the argument that is wrong, and the rest of the flow is read all the same."""
    text = PREFIX.replace("class F(", "class Own(Parameter):\n    pass\n\n\nclass F(").replace("BIG = 20", "import extension\n\nBIG = 20")
    found = reading(text + line + "\n" + STEPS)
    assert codes(found) == [code]
    assert list(found.flows[0].steps) == ["end", "start"]


@pytest.mark.parametrize(
    "line",
    [
        'p = q = Parameter("p")',
        'p, q = Parameter("p"), Parameter("q")',
        'p: int = Parameter("p", default=lambda ctx: print(ctx))',
        'if BIG:\n        p = Parameter("p")\n    else:\n        p = print(Parameter("q"))',
        'if BIG:\n        p = Parameter("p")\n    def make(self): return [Parameter("q")]',
    ],
)
def test_a_call_that_is_bound_is_no_hidden_one(line: str) -> None:
    """What an attribute is bound to is read; what does not run with the class body makes none."""
    assert "FC375" not in codes(reading(PREFIX + line + "\n" + STEPS))


def test_a_value_from_settings_wins() -> None:
    """`[tool.flowc.values]` gives what the text does not tell."""
    found = reading(PREFIX + 'p = Parameter("p", default=unknown())\n' + STEPS, values={"F.p.default": 3})
    assert codes(found) == []
    assert ours(found.flows[0].parameters)["p"][:3] == ("p", "int", 3)


# --- configs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "files", "expected"),
    [
        ('c = Config("c", default="c.json")', {"c.json": '{"a": {"b": 1}}'}, ({"a": {"b": 1}}, "c.json", None)),
        ('c = Config("c", default_value={"a": 1})', {}, ({"a": 1}, None, None)),
        ('c = Config("c", default_value=\'{"a": 1}\')', {}, ({"a": 1}, None, None)),
        ('c = Config("c", default="c.txt", plain=True)', {"c.txt": "text"}, ("text", "c.txt", None)),
        ('c = Config("c", default_value={"a": 1}, plain=True)', {}, ('{"a": 1}', None, None)),
        (
            'c = Config("c", default="c.toml", parser="tomllib.loads")',
            {"c.toml": "[a]\nb = 1\n"},
            ({"a": {"b": 1}}, "c.toml", "tomllib.loads"),
        ),
        (
            'c = Config("c", default="c.yaml", parser=yaml.safe_load)',
            {"c.yaml": "a: {b: 1}\n"},
            ({"a": {"b": 1}}, "c.yaml", "yaml.safe_load"),
        ),
        ('c = Config("c", default="c.x", parser=make)', {"c.x": "?"}, (None, "c.x", "?")),
        ('c = Config("c", default="c.x", parser="own.parse")', {"c.x": "?"}, (None, "c.x", "own.parse")),
        ('c = Config("c")', {}, (None, None, None)),
    ],
)
def test_a_config_has_the_value_that_metaflow_reads(line: str, files: dict[str, str], expected: tuple[Any, ...]) -> None:
    """Value, file and parser of each kind of config; a parser that the text does not tell leaves the value to the pod."""
    found = reading({"flow.py": "import yaml\n" + PREFIX + line + "\n" + STEPS, **files})
    assert codes(found) == []
    (config,) = found.flows[0].configs
    assert ((config.value.data if config.value else None), config.file, config.parser) == expected
    assert [f.path for f in found.flows[0].files] == ([config.file] if config.file else [])


@pytest.mark.parametrize(
    ("line", "settings", "code"),
    [
        ('c = Config("c", default="c.json", default_value={})', {}, "FC379"),
        ('c = Config("c")', {"configs": {"c": {}}, "config_files": {"c": "x"}}, "FC379"),
        ('c = Config("c", default="missing.json")', {}, "FC380"),
        ('c = Config("c")', {"config_files": {"c": "missing.json"}}, "FC380"),
        ('c = Config("c", default="bad.json")', {}, "FC381"),
        ('c = Config("c", default="list.json")', {}, "FC381"),
        ('c = Config("c", required=True)', {}, "FC382"),
        ('c = Config("c", default=make)', {}, "FC383"),
        ('c = Config("c", default="/etc/c.json")', {}, "FC386"),
        ('c = Config("c")\n    d = Config("c")', {}, "FC371"),
    ],
)
def test_what_metaflow_refuses_of_a_config_is_refused(line: str, settings: dict[str, Any], code: str) -> None:
    """Each refusal of a config has its code."""
    files = {"flow.py": PREFIX + line + "\n" + STEPS, "bad.json": "{", "list.json": "[]"}
    assert codes(reading(files, **settings)) == [code]


def test_settings_override_a_config_and_the_pod_gets_their_text() -> None:
    """A value or file from settings replaces the flow's own, which then need not be there."""
    text = PREFIX + 'c = Config("c", default="missing.json")\n    p = Parameter("p", default=c.a)\n' + STEPS
    found = reading(text, configs={"c": {"a": 4}})
    assert codes(found) == []
    assert found.flows[0].configs[0].given == '{"a": 4}'
    assert ours(found.flows[0].parameters)["p"][:3] == ("p", "int", 4)
    found = reading({"flow.py": text, "other.json": '{"a": "x"}'}, config_files={"c": "other.json"})
    assert codes(found) == []
    assert found.flows[0].configs[0].given == '{"a": "x"}'
    assert ours(found.flows[0].parameters)["p"][:3] == ("p", "str", "x")


def test_config_values_reach_parameters_and_bases() -> None:
    """Attributes of a config, `config_expr` and `**config` give arguments of parameters, also of an inherited config."""
    files = {
        "flow.py": HEAD
        + 'from base import Base\n\n\nclass F(Base):\n    p = Parameter("p", default=config_expr("conf").size)\n'
        + '    q = Parameter("q", **config_expr("conf").q)\n'
        + STEPS,
        "base.py": HEAD
        + '\n\nclass Base(FlowSpec):\n    c = Config("conf", default="c.json")\n    r = Parameter("r", default=c["size"])\n',
        "c.json": '{"size": 3, "q": {"default": "x", "required": true}}',
    }
    found = reading(files)
    assert codes(found) == []
    values = ours(found.flows[0].parameters)
    assert [values[n][:4] for n in "pqr"] == [("p", "int", 3, False), ("q", "str", "x", True), ("r", "int", 3, False)]

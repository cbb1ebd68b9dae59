"""The page of `flowc graph --format html` without a browser: what stands in it, and that nothing of a flow can act in it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from cli.running import HELLO, flowc, script
from graph_html.pages import HOSTILE, ROOT, made, parsed
from graph_html.pictures import long, wide

TRAIN = (ROOT / "examples" / "train.py").read_text(encoding="utf-8")
GOLDEN = Path(__file__).parent / "train.html"
TAGS = set("a b body button code dd defs details div dl dt figcaption figure g h1 h2 h3 h4 h5 head header html i li main marker meta nav p path pre rect "
           "script section small span style summary svg symbol text title ul use".split())  # fmt: skip


def test_golden(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The page of the example, its style and script and the length of flowc's own code in the manifest aside, is the one in the file."""
    text = made(tmp_path, TRAIN, "--target", "argo").replace(str(tmp_path), "(folder)")
    for tag in ("style", "script"):
        text = re.sub(rf"(?s)<{tag}>.*?</{tag}>", f"<{tag}>(templates/graph/page.{ {'style': 'css', 'script': 'js'}[tag] })</{tag}>", text)
    text = re.sub(r"sha256-[\w+/=]+", "sha256-(hash)", re.sub(r"\([\d,]+ characters\)", "(n characters)", text))
    if request.config.getoption("--update"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_page_is_the_same_everywhere(tmp_path: Path) -> None:
    """The bytes depend neither on the hash seed nor on where the page goes."""
    (tmp_path / "flow.py").write_text(HOSTILE, encoding="utf-8")
    command = ("graph", str(tmp_path / "flow.py"), "--format", "html", "--isolated")
    first, second = (flowc(*command, PYTHONHASHSEED=seed).stdout for seed in ("1", "2"))
    assert first == second == made(tmp_path, HOSTILE)


@pytest.mark.parametrize("text", [TRAIN, HOSTILE, wide(30)], ids=["train", "hostile", "wide"])
def test_nothing_is_loaded(tmp_path: Path, text: str) -> None:
    """The page names no other file or address, has no handler or style in an attribute, and one style and script, which alone may act."""
    written = made(tmp_path, text, "-t", "argo", "-t", "kubernetes")
    page = parsed(written)
    assert {each.tag for each in page.elements} <= TAGS
    for each in page.elements:
        assert not {name for name in each.attributes if name.startswith("on") or name in ("style", "src", "srcset", "action", "srcdoc")}
        assert (each.attributes.get("href") or "#").startswith("#")
    (style,) = [each.text for each in page.elements if each.tag == "style"]
    (code,) = [each.text for each in page.elements if each.tag == "script"]
    policy = next(each.attributes["content"] for each in page.elements if each.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    allowed = {
        f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(it.encode()).digest()).decode()}'"
        for kind, it in (("style", style), ("script", code))
    }
    assert {part.strip() for part in policy.split(";")} == {"default-src 'none'", "base-uri 'none'", "form-action 'none'", *allowed}
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", style + code)


def test_hostile_text_is_shown_as_it_stands(tmp_path: Path) -> None:
    """Tags, quotes and templates in a flow's texts are text; what would hide or turn text is shown as its escape."""
    page = parsed(made(tmp_path, HOSTILE))
    start, b, flow = (page.named(name).text for name in ("step-start", "step-b", "flow"))
    assert "# </script><img src=x onerror=document.title='owned'>" in start
    assert "</style><script>document.title='owned'</script>" in start
    assert "{{7*7}} ${x} {% raw %}" in start
    assert "]]> <![CDATA[ </pre></code>\\u2028" in b
    assert "</p></section><img src=x onerror=\"document.title='owned'\"> & \\u202eevil\\u202c \U0001f642" in flow
    assert not set("\u202e\u202c\u2028") & set("".join(each.text for each in page.elements[:1]))


def test_half_a_surrogate_pair_has_a_page(tmp_path: Path) -> None:
    """A text that no file can hold is refused by the targets, and the page says so instead of failing."""
    text = HELLO.replace("import FlowSpec", "import FlowSpec, environment").replace(
        "    @step\n    def start", '    @environment(vars={"A": "\\ud800"})\n    @step\n    def start'
    )
    page = parsed(made(tmp_path, text))
    assert "FC500" in page.named("step-start").text


@pytest.mark.parametrize("target", ["argo", "kubernetes", "step-functions"])
def test_every_step_has_its_own_source_manifest_and_settings(tmp_path: Path, target: str) -> None:
    """A step's panel shows the lines of its function, the pieces of the manifest that carry it, and what counts for it."""
    page = parsed(made(tmp_path, TRAIN, "-t", target))
    steps = ("start", "score", "choose", "judge", "ship", "end")
    links = [each.attributes["href"] for each in page.elements if each.attributes.get("class", "").startswith("step ")]
    assert links == [f"#step-{name}" for name in ("start", "score", "choose", "judge", "ship", "end")]
    for name in steps:
        text = page.named(f"step-{name}").text
        assert f"def {name}(self" in text
        assert not [other for other in steps if other != name and f"def {other}(" in text]
        assert "Nothing in the manifest" not in text
        assert "timeout" in text
    score = page.named("step-score").text
    assert re.search(r"8192(M|\s*MB)?", score)
    assert re.search(r"memory\s*8192 MB\s*@resources, \S*flow\.py:19", score)
    assert re.search(r"timeout\s*30 minutes\s*@timeout, \S*flow\.py:18", score)


def test_the_start_shows_the_flow(tmp_path: Path) -> None:
    """Before a step is chosen the page tells of the flow: what it is for, its parameters, its schedule, its files."""
    text = parsed(made(tmp_path, TRAIN)).named("flow").text
    for fact in (
        "Scores candidate models in parallel",
        "how many models to score",
        "0 6 * * *",
        "Europe/Berlin",
        "train.cronworkflow.yaml",
    ):
        assert fact in text


def test_where_settings_come_from(tmp_path: Path) -> None:
    """Each value names the line of the decorator, the line of the settings file or of its tables, the flag, or the default that gave it."""
    (tmp_path / "flow.py").write_text(
        "from metaflow import FlowSpec, environment, kubernetes, resources, step\n\nGPU = 2\n\n\nclass Origins(FlowSpec):\n"
        "    @kubernetes(cpu=4, memory=1000, labels={'team': 'ml'})\n    @resources(cpu=2, memory=9000, gpu=GPU)\n    @environment(vars={'A': 'own'})\n"
        "    @step\n    def start(self):\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    )
    (tmp_path / "flowc.toml").write_text(
        'image = "base:1"\nenvironment = { A = "all", B = "all" }\n[env.prod]\nservice-account = "robot"\n'
    )
    done = flowc(
        "graph", str(tmp_path / "flow.py"), "--format", "html", "--env", "prod", "--namespace", "ml", "--production-token", "origins-0-abcd",
        "--notify-slack-webhook-url", "https://hooks.example.com/T0", "--notify-pager-duty-integration-key", "secret:pager/key",
    )  # fmt: skip
    page = parsed(done.stdout)
    start, end, flow = (" ".join(page.named(name).text.split()) for name in ("step-start", "step-end", "flow"))
    where = re.escape(str(tmp_path)) if str(tmp_path) in done.stdout else r"\S*"
    for fact in (r"cpu 4 @kubernetes, F/flow\.py:7", r"memory 9000 MB @resources, F/flow\.py:8", r"gpu 2 @resources, F/flow\.py:8, constant GPU of F/flow\.py",
                 r"A own @environment, F/flow\.py:9", r"B all F/flowc\.toml:2", r"image base:1 F/flowc\.toml:1", r"service_account robot F/flowc\.toml:4 \(env\.prod\)"):  # fmt: skip
        assert re.search(fact.replace("F", where), start), fact
    assert re.search(rf"A all {where}/flowc\.toml:2", end)
    assert "memory 4096 MB Metaflow's default" in end
    assert re.search(r"namespace ml flag", flow)
    for fact in ("production-token origins-0-abcd", "notify-slack-webhook-url set; not shown here", "notify-pager-duty-integration-key secret:pager/key"):
        assert f"{fact} flag" in flow
    assert "hooks.example.com" not in done.stdout


def test_overlays_are_told(tmp_path: Path) -> None:
    """A step's settings end with the patches that reach it, each with its line; the manifest beside them has what they say."""
    (tmp_path / "flow.py").write_text(HELLO)
    (tmp_path / "flowc.toml").write_text(
        '[overlays.fast]\nkind = "Pod"\nsteps = ["start"]\npatch.spec.priorityClassName = "fast-lane"\n'
        '[overlays.gangs]\nkind = "JobSet"\npatch.metadata.labels = { a = "b" }\n'
    )
    page = parsed(flowc("graph", str(tmp_path / "flow.py"), "--format", "html").stdout)
    start, end = (page.named(name).text for name in ("step-start", "step-end"))
    assert re.search(r'fast \(Pod\) \{"spec": \{"priorityClassName": "fast-lane"\}\} \S*flowc\.toml:1', start)
    assert "priorityClassName: fast-lane" in start
    assert "fast-lane" not in end
    assert "gangs" not in start + end


def test_a_target_that_cannot_carry_the_flow(tmp_path: Path) -> None:
    """The graph and the source are there all the same, and the reason stands in the place of the manifest; the command succeeds."""
    text = TRAIN.replace("    @retry(times=2)", "    @kubernetes(cpu=2)").replace("resources, retry", "kubernetes, resources, retry")
    (tmp_path / "flow.py").write_text(text)
    done = flowc("graph", str(tmp_path / "flow.py"), "--format", "html", "-t", "argo", "-t", "step-functions")
    assert done.stderr.count("FC470") == 1
    score = " ".join(parsed(done.stdout).named("step-score").text.split())
    assert "There is no manifest: step-functions cannot carry this flow as it is. error FC470" in score
    assert "spec.templates[score]" in score
    assert "def score(self)" in score


def test_targets_are_those_of_the_settings(tmp_path: Path) -> None:
    """Without --target the page shows what the repository compiles for; a flag says otherwise."""
    (tmp_path / "flow.py").write_text(HELLO)
    (tmp_path / "flowc.toml").write_text('targets = ["kubernetes", "argo"]\n')

    def shown(*arguments: str) -> list[str | None]:
        page = parsed(flowc("graph", str(tmp_path / "flow.py"), "--format", "html", *arguments).stdout)
        return [each.attributes.get("data-target") for each in page.elements if each.tag == "button" and "data-target" in each.attributes]

    assert shown() == ["kubernetes", "argo"]
    assert shown("-t", "argo") == []


def test_wrong_usage(tmp_path: Path) -> None:
    """A target is for the page alone, and must be one that there is; a flow with an error has no page."""
    (tmp_path / "flow.py").write_text(HELLO)
    flow = str(tmp_path / "flow.py")
    assert "--target is for --format html" in flowc("graph", flow, "-t", "argo", code=2).stderr
    assert "did you mean 'argo'?" in flowc("graph", flow, "--format", "html", "-t", "agro", code=2).stderr
    (tmp_path / "flow.py").write_text(HELLO.replace("self.end", "self.fin"))
    assert flowc("graph", flow, "--format", "html", code=1).stdout == ""


def test_other_formats_go_to_a_file_too(tmp_path: Path) -> None:
    """-o writes what stdout would get."""
    (tmp_path / "flow.py").write_text(HELLO)
    out = tmp_path / "graph.dot"
    assert flowc("graph", str(tmp_path / "flow.py"), "--format", "dot", "-o", str(out)).stdout == ""
    assert out.read_text() == flowc("graph", str(tmp_path / "flow.py"), "--format", "dot").stdout


def test_two_hundred_steps_are_one_page(tmp_path: Path) -> None:
    """A flow of two hundred steps has a panel a step, in a page that can be mailed."""
    text = made(tmp_path, long(200))
    assert len([each for each in parsed(text).elements if each.tag == "section"]) == 201
    assert len(text) < 2_000_000


def test_only_the_page_loads_what_it_needs() -> None:
    """Graphs in other formats load neither templates nor the layout."""
    code = "import sys; from flowc.cli import run; run(sys.argv[1:]); print(sorted(m for m in sys.modules if m.startswith(('jinja2', 'flowc.report.html'))))"
    done = script(code, "graph", str(ROOT / "examples" / "train.py"), "--format", "mermaid")
    assert done.stdout.endswith("[]\n"), done

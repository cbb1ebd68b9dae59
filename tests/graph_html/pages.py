"""In: a flow's text. Out: what `flowc graph --format html` makes of it in this process, and the page taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from cli.running import flowc

ROOT = Path(__file__).parents[2]
HOSTILE = '''\
from metaflow import FlowSpec, Parameter, environment, step


class Hostile(FlowSpec):
    """</p></section><img src=x onerror="document.title='owned'"> & \u202eevil\u202c \U0001f642"""

    p = Parameter("p", default="\\"'><svg onload=document.title='owned'>", help="<script>document.title='owned'</script>")

    @environment(vars={"X": "</style><script>document.title='owned'</script>", "Y": "{{7*7}} ${x} {% raw %}"})
    @step
    def start(self):
        # </script><img src=x onerror=document.title='owned'>
        self.kind = "'\\"><img src=x onerror=document.title='owned'>"
        self.next({"<img src=x onerror=document.title='owned'>": self.a, "\\" onmouseover=\\"document.title='owned'": self.b, "\\u2028": self.b}, condition="kind")

    @step
    def a(self):
        """</script> 'quotes' "double" \\u2028 <!-- comment -->"""
        self.x = f"{self.kind!r:>{10}} <b> {'nested'}"
        self.next(self.both)

    @step
    def b(self):
        self.x = """
]]> <![CDATA[ </pre></code>\u2028
"""
        self.next(self.both)

    @step
    def both(self):
        self.next(self.end)

    @step
    def end(self):
        pass
'''


def made(folder: Path, text: str, *arguments: str, code: int = 0) -> str:
    """The page of a flow, written to a file in the folder."""
    (folder / "flow.py").write_text(text, encoding="utf-8")
    out = folder / "page.html"
    flowc("graph", str(folder / "flow.py"), "--format", "html", "--isolated", "-o", str(out), *arguments, code=code)
    return out.read_text(encoding="utf-8")


@dataclass
class Element:
    """A tag with its attributes, and the text in it (of all elements in it, too)."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements of a page, and its sections by id."""

    elements: list[Element] = field(default_factory=list)
    stack: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag in ("dd", "small", "h2", "p"):
            self.handle_data(" ")
        if tag not in ("meta", "br", "img", "input", "link"):
            self.stack.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1].tag == tag, f"</{tag}> closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        for each in self.stack:
            each.text += data

    def named(self, identity: str) -> Element:
        (found,) = [each for each in self.elements if each.attributes.get("id") == identity]
        return found


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert not page.stack
    return page

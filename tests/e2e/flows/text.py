"""Text that a template engine, a shell or a YAML reader could misread, in defaults and in what is submitted."""

from metaflow import FlowSpec, JSONType, Parameter, step


class TextFlow(FlowSpec):
    """A docstring with {{workflow.name}}, {% if %}, $(date), `id`, "quotes" and a backslash \\."""

    note = Parameter("note", default='{{workflow.name}} {{=1+1}} {% x %} $(id) `id` ${HOME} "double" \'single\' \\n\n second line: é ✓')
    n = Parameter("n", default="y")
    size = Parameter("size", default="1e3")
    octal = Parameter("octal", default="0o17")
    data = Parameter("data", type=JSONType, default={"on": "{{inputs.parameters.x}}", "off": ["null", "~", ""]})

    @step
    def start(self):
        self.codes = [ord(c) for c in self.note]
        self.kinds = [type(v).__name__ for v in (self.note, self.n, self.size, self.octal, self.data)]
        self.next(self.end)

    @step
    def end(self):
        self.copy = self.note
        print(self.note)


if __name__ == "__main__":
    TextFlow()

from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, current, step


def stamp(context):
    return "made for " + context.flow_name + "." + context.parameter_name


class ValuesFlow(FlowSpec):
    """A single step, and a parameter of every kind."""

    plain = Parameter("plain", default="abc")
    spaced = Parameter("spaced", default='it\'s {{odd}} "here"\n$HOME `id` \\ ü')
    nothing = Parameter("nothing", default=None)
    untyped = Parameter("untyped", type=int)
    whole = Parameter("whole", default=5)
    real = Parameter("real", default=0.5)
    flag = Parameter("flag", default=True)
    structure = Parameter("structure", default='{"a": [1, null]}', type=JSONType)
    listed = Parameter("listed", default="a,b", separator=",")
    many = Parameter("many", type=str, multiple=True, default=["x y", "z"])
    dashed = Parameter("dashed-name", default="d")
    lazy = Parameter("lazy", default=stamp)
    lazy_int = Parameter("lazy_int", default=lambda _: 41, type=int)
    text = IncludeFile("text", default="included.txt")
    raw = IncludeFile("raw", default="included.txt", is_text=False)
    config = Config("config", default="config.json")
    words = Config("words", default="words.txt", parser="shared_parser.parse", plain=True)
    sized = Parameter("sized", default=config.size)
    CONSTANT = ("c", 1)

    @step(start=True, end=True)
    def only(self):
        self.copy = [self.plain, self.spaced, self.nothing, self.untyped, self.whole, self.real, self.flag, self.structure, self.listed]
        self.more = [list(self.many), self.dashed, self.lazy, self.lazy_int, self.text, self.raw, self.sized]
        self.configs = [self.config.nested.key, self.words]
        self.tag_list = sorted(t for t in current.tags if t.startswith("mine"))


if __name__ == "__main__":
    ValuesFlow()

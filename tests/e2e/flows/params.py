"""Every kind of Parameter, an IncludeFile and a Config, in a straight line."""

import json

from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, step


class ParamsFlow(FlowSpec):
    count = Parameter("count", type=int, default=3, help="how many; isn't \"quoted\" by accident")
    rate = Parameter("rate", default=0.25)
    label = Parameter("label", default="plain")
    dashed = Parameter("with-dash", default="a:b, c # d")
    quick = Parameter("quick", type=bool, default=False)
    shape = Parameter("shape", type=JSONType, default={"rows": 2, "names": ["a", "b"]})
    parts = Parameter("parts", default="x,y,z", separator=",")
    needed = Parameter("needed", type=int, required=True)
    unset = Parameter("unset", type=str, default=None)
    words = IncludeFile("words", default="data/words.txt")
    raw = IncludeFile("raw", default="data/bytes.bin", is_text=False)
    settings = Config("settings", default="data/settings.json")

    @step
    def start(self):
        self.seen = {
            "count": self.count + self.needed,
            "rate": self.rate * 2,
            "label": self.label,
            "dashed": self.dashed,
            "quick": self.quick,
            "rows": self.shape["rows"],
            "parts": list(self.parts),
            "unset": self.unset,
            "lines": len(self.words.splitlines()),
            "raw": list(self.raw),
            "depth": self.settings.model.depth,
        }
        self.next(self.check)

    @step
    def check(self):
        self.text = json.dumps(self.seen, sort_keys=True)
        self.next(self.end)

    @step
    def end(self):
        print(self.text)


if __name__ == "__main__":
    ParamsFlow()

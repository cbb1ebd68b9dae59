"""A gang of three tasks that run together."""

from metaflow import FlowSpec, current, parallel, step


class GangFlow(FlowSpec):
    @step
    def start(self):
        self.base = 100
        self.next(self.train, num_parallel=3)

    @parallel
    @step
    def train(self):
        self.node = current.parallel.node_index
        self.size = current.parallel.num_nodes
        self.value = self.base + self.node
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = sorted(i.value for i in inputs)
        self.sizes = sorted(i.size for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        assert self.values == [100, 101, 102], self.values
        assert self.sizes == [3, 3, 3], self.sizes


if __name__ == "__main__":
    GangFlow()

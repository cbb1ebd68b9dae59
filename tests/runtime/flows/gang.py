from metaflow import FlowSpec, current, kubernetes, parallel, step


class GangFlow(FlowSpec):
    """num_parallel inside a foreach, with @kubernetes on the local datastore."""

    @step
    def start(self):
        self.sizes = [2, 1]
        self.next(self.launch, foreach="sizes")

    @step
    def launch(self):
        self.next(self.train, num_parallel=self.input)

    @kubernetes(cpu=1)
    @parallel
    @step
    def train(self):
        self.node = (current.parallel.node_index, current.parallel.num_nodes)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.nodes = [i.node for i in inputs]
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.all_nodes = [i.nodes for i in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    GangFlow()

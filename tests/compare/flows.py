"""In: nothing. Out: texts of flows that Metaflow and flowc compile: one with much in it, and one for AWS Batch."""

from __future__ import annotations

RICH = '''\
from metaflow import FlowSpec, JSONType, Parameter, catch, environment, exit_hook, kubernetes, resources, retry, schedule, step, timeout, trigger


def told(run):
    print("told")


def mourned(run):
    print("mourned")


@exit_hook(on_success=[told], on_error=[mourned])
@trigger(event="data_ready")
@schedule(cron="0 6 ? * MON-FRI *", timezone="Europe/Berlin")
class Rich(FlowSpec):
    """A flow with much in it."""

    day = Parameter("day", default="today", help="which day")
    grid = Parameter("grid", type=JSONType, default={"depth": [1, 2], "text": "{{x}}"})
    count = Parameter("count", type=int, default=3)

    @retry(times=2, minutes_between_retries=1)
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.train, foreach="items")

    @catch(var="failure")
    @timeout(hours=1)
    @environment(vars={"MODE": "{{fast}}", "y": "1e3"})
    @kubernetes(
        image="registry.example.com/train:1.2",
        image_pull_policy="Always",
        image_pull_secrets=["pull"],
        secrets=["db", "api"],
        service_account="trainer",
        node_selector={"pool": "gpu"},
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        labels={"team": "ads"},
        annotations={"example.com/cost": "high"},
        cpu=8,
        memory=64 * 1024,
        disk=20480,
        gpu=1,
        shared_memory=512,
        use_tmpfs=True,
        tmpfs_size=256,
        persistent_volume_claims={"data": "/data"},
        port=8080,
        security_context={"run_as_user": 1000},
        qos="Guaranteed",
        extended_resources={"vendor.com/thing": "2"},
    )
    @step
    def train(self):
        self.next(self.pick)

    @resources(memory=2048)
    @step
    def pick(self):
        self.way = "left"
        self.next({"left": self.left, "right": self.right}, condition="way")

    @step
    def left(self):
        self.next(self.meet)

    @step
    def right(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Rich()
'''
EVENTS = {"events_event": "flow", "events_event_source": "webhook", "events_service_account": "argo-events"}
EVENT_VARIABLES = {
    "METAFLOW_ARGO_EVENTS_EVENT": "flow",
    "METAFLOW_ARGO_EVENTS_EVENT_SOURCE": "webhook",
    "METAFLOW_ARGO_EVENTS_SERVICE_ACCOUNT": "argo-events",
}
"""How Metaflow is told of Argo Events; its pods get the same variables."""

BATCH = '''\
from metaflow import FlowSpec, Parameter, batch, environment, resources, retry, step, timeout


class Batched(FlowSpec):
    rate = Parameter("rate", default=0.5)

    @step
    def start(self):
        self.next(self.left, self.right)

    @retry(times=2)
    @timeout(hours=2)
    @environment(vars={"MODE": "fast"})
    @batch(cpu=2, memory=8192, gpu=1)
    @step
    def left(self):
        self.items = [1, 2]
        self.next(self.work, foreach="items")

    @resources(cpu=2)
    @step
    def work(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.meet)

    @step
    def right(self):
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Batched()
'''
OLD = '''\
from metaflow import FlowSpec, JSONType, Parameter, kubernetes, parallel, retry, step


class Old(FlowSpec):
    grid = Parameter("grid", type=JSONType, default={"depth": [1, 2]})

    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.work, self.side)

    @retry(times=2)
    @kubernetes(memory=8192)
    @step
    def work(self):
        self.next(self.each, foreach="items")

    @step
    def each(self):
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.next(self.meet)

    @step
    def side(self):
        self.next(self.gang, num_parallel=2)

    @parallel
    @step
    def gang(self):
        self.next(self.gathered)

    @step
    def gathered(self, inputs):
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Old()
'''
PLAIN = '''\
from metaflow import FlowSpec, step


class Plain(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Plain()
'''

"""Facts about the Jobs of steps: what a flow says reaches the manifest that the coordinator takes, and every manifest is valid."""

from __future__ import annotations

import copy
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes_objects import Object, container, environment, manifest, objects, plan_of, pod, result
from strategies import FlowText, flows

from flowc.deployment import jobs
from flowc.deployment.samples import sample
from flowc.deployment.validate import violations

EXAMPLES = int(os.environ.get("FLOWC_EXAMPLES", "25"))
SCHEMAS = {"Job": "kubernetes/1.33.json", "JobSet": "kubernetes/jobset.json"}
GANG = """from metaflow import FlowSpec, kubernetes, parallel, retry, step


class Gang(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @retry(times=2)
    @kubernetes(cpu=2)
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
FAN = """from metaflow import FlowSpec, step


class Fan(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.again = "no"
        self.next({"yes": self.work, "no": self.done}, condition="again")

    @step
    def done(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


def started(imports: str, decorator: str, **chosen: object) -> Object:
    """The Job of a first step with the decorator."""
    return manifest(sample(imports, on_start=decorator), "start", **chosen)


def test_a_job_of_one_index() -> None:
    """A step is an Indexed Job of one index whose failures end it at once; a taken pod counts for nothing and is replaced when it is gone."""
    spec = manifest(sample(), "end")["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 1, 1)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"], spec["podReplacementPolicy"]) == (0, 0, "Failed")
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "suspend" not in spec
    assert "ttlSecondsAfterFinished" not in spec


def test_attempts() -> None:
    """@retry and @catch add up to the failures that an index may have; the pod reads its attempt from the annotation that counts them."""
    job = started("retry, catch", "@retry(times=2)\n    @catch(var='failure')")
    assert job["spec"]["backoffLimitPerIndex"] == 5
    assert "--attempt=$(FLOWC_ATTEMPT)" in container(job)["args"]
    assert "--user-retries=2" in container(job)["args"]
    assert environment(job)["FLOWC_ATTEMPT"] == "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"
    assert environment(job)["FLOWC_ONCE"] == "1"


def test_timeout_is_the_pods() -> None:
    """@timeout limits one attempt, so the limit stands on the pod; without it there are Metaflow's five days."""
    job = started("timeout", "@timeout(minutes=5)")
    assert pod(job)["spec"]["activeDeadlineSeconds"] == 300
    assert "activeDeadlineSeconds" not in job["spec"]
    assert pod(started("", ""))["spec"]["activeDeadlineSeconds"] == 432_000


def test_compute_attributes_arrive() -> None:
    """Every attribute of @kubernetes stands in the step's pod, over what all steps share."""
    said = (
        "@kubernetes(cpu=2, memory=100, disk=50, gpu=1, image='i:1', image_pull_policy='Always', image_pull_secrets=['pull'], secrets=['db'],"
        " node_selector={'pool': 'x'}, tolerations=[{'key': 'g', 'operator': 'Exists'}], labels={'team': 'ads'}, annotations={'a': 'b'},"
        " service_account='robot', persistent_volume_claims={'data': '/data'}, shared_memory=64, tmpfs_size=32, port=8080,"
        " security_context={'run_as_user': 7}, executable='/bin/py', qos='guaranteed')"
    )
    job = started("kubernetes", said, image_pull_secrets=("all",))
    spec, main = pod(job)["spec"], container(job)
    assert main["resources"]["limits"] == {"cpu": "2", "memory": "100M", "ephemeral-storage": "50M", "nvidia.com/gpu": "1"}
    assert (main["image"], main["imagePullPolicy"], main["command"]) == ("i:1", "Always", ["/bin/py", "/flowc/boot.py"])
    assert {"secretRef": {"name": "db"}} in main["envFrom"]
    assert {"configMapRef": {"name": "metaflow-config"}} in main["envFrom"]
    assert main["ports"] == [{"containerPort": 8080}]
    assert main["securityContext"] == {"runAsUser": 7}
    assert spec["imagePullSecrets"] == [{"name": "all"}, {"name": "pull"}]
    assert (spec["nodeSelector"], spec["serviceAccountName"]) == ({"pool": "x"}, "robot")
    assert spec["tolerations"] == [{"key": "g", "operator": "Exists"}]
    assert [volume["name"] for volume in spec["volumes"]] == ["flowc", "tmpfs-ephemeral-volume", "dhsm", "data"]
    assert {mount["name"] for mount in main["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    for place in (job, pod(job)):
        assert place["metadata"]["labels"]["team"] == "ads"
        assert place["metadata"]["annotations"]["a"] == "b"
    assert violations(SCHEMAS["Job"], named(job)) == []


def named(job: Object) -> Object:
    return {**job, "metadata": {**job["metadata"], "name": "x"}}


def test_text_of_users_stays_as_it_is() -> None:
    """What Kubernetes would expand is written so that it expands back to the user's text; braces are nothing special here."""
    env = environment(started("environment", "@environment(vars={'A': '$(HOME) {{x}} $$', 'B': '$x'})"))
    assert env["A"] == "$$(HOME) {{x}} $$$$"
    assert env["B"] == "$x"
    assert "FLOWC_ENVIRONMENT" not in env
    text = sample(helpers="BRACES = '{{x}}'")
    code = next(o for o in objects(text) if o["kind"] == "ConfigMap" and "plan.json" not in o["data"])
    assert code["data"]["1-flow.py"] == text


def test_own_variables_replace_shared_ones() -> None:
    """A variable of @environment that all pods have by a setting is the step's, once."""
    env = environment(started("environment", "@environment(vars={'WHO': 'me'})", environment={"WHO": "all", "MORE": "1"}))
    assert (env["WHO"], env["MORE"]) == ("me", "1")


def test_places_come_from_the_environment() -> None:
    """A step in a foreach takes its path, one that loops its round, from variables that only the run sets; the splitting step tells."""
    plan = plan_of(objects(FAN))
    assert "--path=$(FLOWC_PATH)" in container(jobs.manifest(plan, "work"))["args"]
    assert "--round=$(FLOWC_ROUND)" in container(jobs.manifest(plan, "work"))["args"]
    assert not [a for a in container(jobs.manifest(plan, "join"))["args"] if a.startswith(("--path", "--round"))]
    tells = {step for step in plan["jobs"] if "FLOWC_RESULT" in environment(jobs.manifest(plan, step))}
    assert tells == {"start", "work"} == {name for name, step in plan["steps"].items() if step["told"]}


def test_gang_is_a_jobset() -> None:
    """@parallel is a JobSet of a control pod and workers that tries nothing again by itself; the run gives its size and attempt."""
    gang = manifest(GANG, "train")
    assert (gang["kind"], gang["spec"]["failurePolicy"]) == ("JobSet", {"maxRestarts": 0})
    args = container(gang)["args"]
    assert "--gang" in args
    assert "--attempt=$(FLOWC_ATTEMPT)" in args
    assert not [argument for argument in args if argument.startswith("--path")]
    jobs.with_width(gang, 4)
    assert {job["name"]: job["replicas"] for job in gang["spec"]["replicatedJobs"]} == {"control": 1, "worker": 3}
    jobs.with_env(gang, {"MF_WORLD_SIZE": "4"})
    assert [container_env(each)["MF_WORLD_SIZE"] for each in jobs.pods(gang)] == ["4", "4"]
    assert [container_env(each).get("MF_CONTROL_INDEX") for each in jobs.pods(gang)] == ["0", None]
    assert violations(SCHEMAS["JobSet"], named(gang)) == []
    alone = jobs.with_width(manifest(GANG, "train"), 1)
    assert [job["name"] for job in alone["spec"]["replicatedJobs"]] == ["control"]


def container_env(template: Object) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in template["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("step", ["start", "train"])
def test_kueue_and_ttl(step: str) -> None:
    """With a queue the Job or JobSet is suspended and labelled for Kueue, its pods are not; with a time to live it has it."""
    job = manifest(GANG, step, kueue_queue="team-a", job_ttl=60)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert "kueue.x-k8s.io/queue-name" not in pod(job).get("metadata", {}).get("labels", {})
    assert job["spec"]["suspend"] is True
    assert job["spec"]["ttlSecondsAfterFinished"] == 60


def test_local_datastore_on_a_claim() -> None:
    """A local datastore is one claim, mounted at its root in the pods of all steps, gangs too."""
    chosen = {"datastore": "local", "datastore_root": "/data", "datastore_claim": "shared"}
    for step in ("start", "train"):
        job = manifest(GANG, step, **chosen)
        for each in jobs.pods(job):
            assert {"name": "datastore", "persistentVolumeClaim": {"claimName": "shared"}} in each["spec"]["volumes"]
            assert {"name": "datastore", "mountPath": "/data"} in each["spec"]["containers"][0]["volumeMounts"]


def test_only_the_first_step_knows_the_parameters() -> None:
    """The names of parameters stand in the first step's Job alone."""
    plan = plan_of(objects(sample("Parameter", body="n = Parameter('n', default=1)")))
    assert environment(jobs.manifest(plan, "start"))["FLOWC_DECLARED"] == '{"n":""}'
    assert "FLOWC_DECLARED" not in environment(jobs.manifest(plan, "end"))


def test_hooks_are_jobs_of_the_plan() -> None:
    """Each function of @exit_hook is a Job with the outcome that it is for, in the image that the hook names."""
    above = "@exit_hook(on_success=['yes'], on_error=['no', 'no'], options={'image': 'h:1'})"
    made = objects(sample("exit_hook", above, helpers="def yes(): pass\ndef no(): pass"))
    plan = plan_of(made)
    assert [(hook["on"], hook["function"]) for hook in plan["hooks"]] == [("success", "yes"), ("error", "no")]
    job = jobs.merged(plan["shared"], plan["hooks"][0]["job"])
    assert container(job)["args"] == ["yes", "--hook"]
    assert container(job)["image"] == "h:1"
    assert violations(SCHEMAS["Job"], named(job)) == []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(flows(budget=12))
def test_every_manifest_is_valid(flow: FlowText) -> None:
    """Whatever the flow, the Jobs and JobSets of all its steps satisfy Kubernetes' own schema, and one copy does not change the plan."""
    made, said = result(flow.text)
    if not made:
        assert said
        return
    plan = plan_of(made)
    before = copy.deepcopy(plan)
    assert list(plan["jobs"]) == list(plan["steps"])
    for step in plan["jobs"]:
        job = jobs.with_env(jobs.with_width(jobs.manifest(plan, step), 2), {"FLOWC_RUN_ID": "k8s-x"})
        jobs.with_labels(job, {"flowc/run": "x"})
        job["metadata"]["name"] = jobs.name("x", step)
        assert violations(SCHEMAS[job["kind"]], job) == []
        assert len(environment(job)) > 5
    assert plan == before


PARTS = st.text("abAB-_/0 .é", min_size=0, max_size=30)


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_names_of_jobs(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """A name is a DNS label that leaves room for an index, and two tasks share one only if they are the same task."""
    import re

    names = [jobs.name(parts[0].replace("/", "x"), *(part.replace("/", "x") for part in parts[1:])) for parts in (one, other)]
    assert all(re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name) and len(name) <= 46 for name in names)
    same = [part.replace("/", "x") for part in one] == [part.replace("/", "x") for part in other]
    assert (names[0] == names[1]) == same


def test_merging() -> None:
    """What is own is laid over what is shared: mappings by key, named things by name, variables whole, the rest replaced; nothing is changed."""
    shared = {"a": {"b": 1, "c": 2}, "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}], "args": ["1", "2"]}
    own = {"a": {"c": 3}, "env": [{"name": "Z", "value": "3"}, {"name": "X", "valueFrom": {"fieldRef": {}}}], "args": ["3"]}
    before = copy.deepcopy((shared, own))
    assert jobs.merged(shared, own) == {
        "a": {"b": 1, "c": 3},
        "env": [{"name": "X", "valueFrom": {"fieldRef": {}}}, {"name": "Y", "value": "2"}, {"name": "Z", "value": "3"}],
        "args": ["3"],
    }
    assert (shared, own) == before

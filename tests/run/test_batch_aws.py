"""In: a flow, real tasks, an AWS Batch on loopback whose jobs are processes. Out: proof that runs end as on a laptop, kill -9 or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from e2e import laptop
from e2e.judging import without

if TYPE_CHECKING:
    from collections.abc import Iterator

interpreter = pytest.importorskip("stepfunctions.interpreter")

LEAD = Path(__file__).with_name("batch_lead.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with interpreter.started(tmp_path_factory.mktemp("aws")) as running:
        yield running


def led(aws: Any, flow: str, run: str, *flags: str, folder: Path = laptop.FLOWS) -> subprocess.CompletedProcess[str]:
    """A coordinator in a process of its own."""
    keys = {"AWS_ENDPOINT_URL": aws.endpoint, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": interpreter.REGION}
    command = [sys.executable, LEAD, folder / f"{flow}.py", "--run", run, "--queue", interpreter.QUEUE, "--root", interpreter.DATASTORE, *flags]
    env = {**os.environ, **keys, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    return subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, timeout=280, check=False)


def jobs(aws: Any, run: str) -> dict[str, list[int]]:
    """By name: how many attempts each of the run's jobs, or children of its array jobs, took."""
    batch = aws.client("batch")
    listed = batch.list_jobs(jobQueue=interpreter.QUEUE, filters=[{"name": "JOB_NAME", "values": [f"{run}-*"]}])["jobSummaryList"]
    details = batch.describe_jobs(jobs=[job["jobId"] for job in listed])["jobs"]
    found: dict[str, list[int]] = {}
    for job in details:
        if "statusSummary" not in job.get("arrayProperties", {}):
            found.setdefault(job["jobName"], []).append(len(job["attempts"]))
    return found


@pytest.mark.slow
def test_killed_and_started_again(aws: Any) -> None:
    """kill -9 of the coordinator, three times in one run: each next one goes on, every task runs once, and the artifacts are a laptop's."""
    for call in (9, 22, 40):
        assert led(aws, "loop_in_fan", "batch-killed", "--die", str(call), "--settle", "2").returncode == -signal.SIGKILL
    done = led(aws, "loop_in_fan", "batch-killed", "--settle", "2")
    assert json.loads(done.stdout)["finished"], done.stderr + aws.log()
    truth = laptop.truth("loop_in_fan", "LoopInFanFlow", {})
    assert without(aws.artifacts("LoopInFanFlow", "batch-killed"), ()) == without(truth["artifacts"], ())
    attempts = jobs(aws, "batch-killed")
    # start, prepare x 2, again r0 x 2, again r1, after x 2, join, end
    assert sorted(len(each) for each in attempts.values()) == [1, 1, 1, 1, 2, 2, 2]
    assert {number for each in attempts.values() for number in each} == {1}


FAILING = '''
from metaflow import FlowSpec, retry, step


class FailingFlow(FlowSpec):
    @step
    def start(self):
        self.items = ["good", "bad"]
        self.next(self.work, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        import pathlib
        if self.input == "bad" and not pathlib.Path({mended!r}).exists():
            raise ValueError("this one is " + self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FailingFlow()
'''


@pytest.mark.slow
def test_a_failed_task_is_shown_and_resumed(aws: Any, tmp_path: Path) -> None:
    """The failed index, its last attempt and the end of its log from CloudWatch are told; the resumed run does it again, and only it."""
    mended = tmp_path / "mended"
    (tmp_path / "failing.py").write_text(FAILING.format(mended=str(mended)))
    done = led(aws, "failing", "batch-failed", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    ((task, reason, log),) = json.loads(done.stdout)["failed"]
    assert (task, reason.partition(",")[0]) == ("work-1", "exit code 1")
    assert "this one is bad" in log
    mended.touch()
    resumed = led(aws, "failing", "batch-failed", "--resume", folder=tmp_path)
    assert json.loads(resumed.stdout)["finished"], resumed.stderr
    attempts = jobs(aws, "batch-failed")
    assert sorted(map(sorted, attempts.values())) == [[1], [1], [1], [1], [1, 2]], attempts

"""In: jobs that are wanted, by name. Out: their ids; each name is submitted once, whoever asks, however often, and whatever dies meanwhile.

SubmitJob has no client token, and ListJobs may show a new job only after some seconds. So every submission is announced on S3, which is
consistent: a note that only one writer can make (If-None-Match). The writer submits at once, never twice, and adds the job's id. A note
without an id means that its writer is about to submit, or died: whoever finds it waits `settle` seconds for a job of that name to be
listed. If none is, the name's next generation is announced. A writer that is late (throttled, asleep) gives its generation up.

What remains is a job that AWS lists later than that. Then two jobs of one task may exist: FLOWC_ONCE in the pod leaves alone a task that
has finished, and `Ledger.known` has all of them, so that the first counts and the others are ended.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowc.run.batch_api import Aws, AwsError, Unsure

GENERATIONS = 20
NAME_LIMIT = 128


def job_name(run: str, what: str, generation: int = 0) -> str:
    """A name that Batch takes, for people to read; the hash of all of it makes it a name of its own."""
    whole = json.dumps([run, what, generation])
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{run}-{what}").strip("-_")
    return f"{readable[: NAME_LIMIT - 13].rstrip('-_')}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Noted:
    """What a run has submitted: the name and description of the work, and its jobs, of which the first counts."""

    what: str
    about: Mapping[str, Any]
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The notes on S3 about one run's jobs: `<prefix>/<what>/<generation>`. `settle` and `look` are in seconds."""

    aws: Aws
    bucket: str
    prefix: str
    run: str
    settle: float = 180.0
    look: float = 5.0
    me: str = field(default_factory=lambda: uuid.uuid4().hex)

    def submit(self, what: str, about: Mapping[str, Any], job: Mapping[str, Any]) -> str:
        """The id of the job for the work of that name, submitted unless it was. `about` is what `known` gives again.

        `job` is SubmitJob's arguments without the job's name.
        """
        asked = {"about": dict(about), "queue": job["jobQueue"]}
        for generation in range(GENERATIONS):
            note, until = self._note(what, generation), self.aws.pace.clock() + self.settle / 3
            if note is None and self.aws.claim(self.bucket, self._key(what, generation), _body(asked, by=self.me)):
                found = self._send(what, generation, job, until, asked)
            elif note is None or "by" in note:
                found = self._awaited(what, generation, asked)
            else:
                found = note.get("job")
            if found:
                return found
        raise AwsError(f"AWS Batch takes no job for {what}: {GENERATIONS} times it was throttled or its answer was lost")

    def known(self) -> list[Noted]:
        """What the run has submitted, by name, as far as it is noted or listed."""
        found: dict[str, dict[int, str]] = {}
        about: dict[str, Mapping[str, Any]] = {}
        for key in self.aws.keys(self.bucket, f"{self.prefix}/"):
            what, _, number = key[len(self.prefix) + 1 :].rpartition("/")
            note = self._note(what, int(number)) or {}
            listed = [note["job"]] if "job" in note else self._listed(what, int(number), note) if "by" in note else []
            found.setdefault(what, {}).update((int(number), job) for job in listed[:1])
            about[what] = note.get("about", {})
        return [Noted(what, about[what], tuple(jobs[n] for n in sorted(jobs))) for what, jobs in sorted(found.items()) if jobs]

    def _send(self, what: str, generation: int, job: Mapping[str, Any], until: float, asked: Mapping[str, Any]) -> str | None:
        """Submit what was announced just now; None where that did not happen, or cannot be told after all."""
        try:
            found = self.aws.submit(until, jobName=job_name(self.run, what, generation), **job)
        except Unsure:
            return self._awaited(what, generation, asked)
        self.aws.write(self.bucket, self._key(what, generation), _body(asked, **({"job": found} if found else {"none": True})))
        return found

    def _awaited(self, what: str, generation: int, asked: Mapping[str, Any]) -> str | None:
        """The job of a note that has no id, once it is noted or listed; None when that takes longer than it can."""
        end = self.aws.pace.clock() + self.settle
        while True:
            note = self._note(what, generation) or {}
            if "by" not in note:
                return note.get("job")
            listed = self._listed(what, generation, asked)
            if listed:
                self.aws.write(self.bucket, self._key(what, generation), _body(asked, job=listed[0]))
                return listed[0]
            if self.aws.pace.clock() > end:
                return None
            self.aws.pace.sleep(self.look)

    def _listed(self, what: str, generation: int, asked: Mapping[str, Any]) -> list[str]:
        return self.aws.named(asked["queue"], job_name(self.run, what, generation))

    def _key(self, what: str, generation: int) -> str:
        return f"{self.prefix}/{what}/{generation}"

    def _note(self, what: str, generation: int) -> dict[str, Any] | None:
        body = self.aws.read(self.bucket, self._key(what, generation))
        return None if body is None else dict(json.loads(body))


def _body(asked: Mapping[str, Any], **said: Any) -> bytes:
    return json.dumps({**asked, **said}).encode()

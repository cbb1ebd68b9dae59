"""In: an Api, a run's Lease name, who I am. Out: Leadership: one coordinator leads a run, the others wait and take over."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from flowc.run.kubernetes_api import Api, ClusterError, Object, RefusedError

SECONDS = 15.0
"""How long a coordinator that stopped renewing is waited for. $FLOWC_LEASE_SECONDS says otherwise."""


def seconds() -> float:
    return float(os.environ.get("FLOWC_LEASE_SECONDS") or SECONDS)


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True)
class Leadership:
    """Held from `acquire` to `release`; a thread renews it. `lost` is set when it could not be renewed in time, or someone took it.

    Whether another's lease ran out is judged by this machine's clock alone: its renewals were not seen to change for so long.
    Two leaders at once, possible for a moment after a long pause, do no harm: all that they make has names that the run decides.
    """

    api: Api
    name: str
    me: str
    labels: dict[str, str]
    owner: Object | None = None
    duration: float = field(default_factory=seconds)
    lost: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def acquire(self, told: Callable[[str], None], stop: threading.Event) -> bool:
        """Wait until this coordinator leads; False where `stop` was set before. `told` gets the holder's name."""
        holder, seen, since = "", "", 0.0
        while not stop.is_set():
            lease = self.api.get("leases", self.name)
            if lease is None:
                taken = self._try(lambda: self.api.create("leases", self._fresh()))
            else:
                spec = lease["spec"]
                version = lease["metadata"]["resourceVersion"]
                if version != seen:
                    seen, since = version, time.monotonic()
                free = not spec.get("holderIdentity") or spec["holderIdentity"] == self.me
                free = free or time.monotonic() - since > float(spec.get("leaseDurationSeconds") or 0)
                taken = free and self._try(lambda lease=lease: self.api.replace("leases", self._taken(lease)))  # type: ignore[misc]
                if not taken and holder != spec.get("holderIdentity"):
                    holder = str(spec.get("holderIdentity") or "")
                    told(holder)
            if taken:
                threading.Thread(target=self._renew, name="lease", daemon=True).start()
                return True
            stop.wait(min(2.0, self.duration / 4))
        return False

    def _try(self, call: Callable[[], Object]) -> bool:
        """Whether the call made me the holder. One whose answer was lost is seen at the next look."""
        try:
            call()
        except RefusedError as error:
            if error.status != 409:
                raise
            return False
        return True

    def _fresh(self) -> Object:
        metadata: Object = {"name": self.name, "labels": self.labels}
        if self.owner:
            metadata["ownerReferences"] = [self.owner]
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._spec({})}

    def _taken(self, lease: Object) -> Object:
        return {**lease, "spec": self._spec(lease["spec"])}

    def _spec(self, before: Object) -> Object:
        mine = before.get("holderIdentity") == self.me
        spec: Object = {"holderIdentity": self.me, "leaseDurationSeconds": max(1, round(self.duration)), "renewTime": now()}
        spec["acquireTime"] = before["acquireTime"] if mine else now()
        spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (0 if mine else 1)
        return spec

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self.ended.wait(self.duration / 3):
            try:
                lease = self.api.get("leases", self.name)
                if lease is None or lease["spec"].get("holderIdentity") != self.me:
                    self.lost.set()
                    return
                if self._try(lambda lease=lease: self.api.replace("leases", self._taken(lease))):  # type: ignore[misc]
                    renewed = time.monotonic()
            except ClusterError:
                pass  # counted by the clock below
            if time.monotonic() - renewed > self.duration:
                self.lost.set()
                return

    def release(self) -> None:
        """Let the next one lead at once."""
        self.ended.set()
        try:
            lease = self.api.get("leases", self.name)
            if lease and lease["spec"].get("holderIdentity") == self.me:
                self.api.replace("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}})
        except ClusterError:
            pass  # it runs out by itself

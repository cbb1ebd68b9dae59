"""In: an Api, a kind, a label selector. Out: Watcher, a thread that keeps a queue told of all that is and all that changes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from flowc.run.kubernetes_api import PATIENCE, Api, ClusterError, Object, PassingError, RefusedError, pauses

ALL, ONE, GONE, LOST = "all", "one", "gone", "lost"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watcher tells. `what` is ALL, ONE or GONE, and `value` is name -> item; ALL has all there are: what is missing is gone.

    LOST: the watcher gave up; `value` is the ClusterError.
    """

    kind: str
    what: str
    value: Any


@dataclass(slots=True)
class Watcher:
    """Lists, then watches from there; lists again when the watch expired (410). Each lost connection, 429 or 5xx costs a pause.

    `slim` makes an item of an object, in the thread, so that only what is used stays in memory.
    """

    api: Api
    kind: str
    selector: str
    slim: Callable[[Object], Any]
    told: queue.SimpleQueue[Seen]
    stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"watch-{self.kind}", daemon=True).start()

    def stop(self) -> None:
        """Nothing more is told; the thread ends when its connection next says something."""
        self.stopped.set()

    def _run(self) -> None:
        try:
            self._follow()
        except ClusterError as error:
            self._tell(LOST, error)
        except Exception as error:  # noqa: BLE001 - a bug here must not end in a run that waits for ever
            self._tell(LOST, ClusterError(f"watching {self.kind} failed: {type(error).__name__}: {error}"))

    def _tell(self, what: str, value: Any) -> None:
        if not self.stopped.is_set():
            self.told.put(Seen(self.kind, what, value))

    def _follow(self) -> None:
        version, waits, good = "", pauses(), time.monotonic()
        while not self.stopped.is_set():
            try:
                version = version or self._list()
                for event in self.api.watch(self.kind, self.selector, version):
                    version = event["object"]["metadata"]["resourceVersion"]
                    waits, good = pauses(), time.monotonic()
                    if self.stopped.is_set():
                        return
                    if event["type"] != "BOOKMARK":
                        name = event["object"]["metadata"]["name"]
                        self._tell(GONE if event["type"] == "DELETED" else ONE, {name: self.slim(event["object"])})
                wait, good = next(waits), time.monotonic()
            except RefusedError as error:
                if error.status != 410:
                    raise
                version, wait = "", next(waits)
            except PassingError as error:
                if time.monotonic() - good > PATIENCE:
                    raise ClusterError(f"the API server lets nobody watch {self.kind} for {PATIENCE:.0f} s: {error}") from error
                wait = max(next(waits), min(error.wait or 0, 60.0))
            self.stopped.wait(wait)

    def _nap(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise ClusterError("stopped")

    def _list(self) -> str:
        """Tell all there are, return the resourceVersion. A list whose pages expired meanwhile is begun again by the caller."""
        items, version = {}, ""
        for page in replace(self.api, sleep=self._nap).pages(self.kind, self.selector):
            version = page["metadata"]["resourceVersion"]
            items.update({o["metadata"]["name"]: self.slim(o) for o in page["items"]})
        self._tell(ALL, items)
        return version

"""In: a number N, `before` or `after`, arguments of flowc. Out: flowc, killed (SIGKILL) at the N-th call to the API server; exit code as if run.

Watches and the lease's renewals, which other threads make, do not count. With N = 0 nothing is killed, and stderr ends with the calls' count.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import urllib3

from flowc.cli import main


def deadly(at: int, *, after: bool) -> list[str]:
    """Have urllib3 kill this process; the calls so far."""
    calls: list[str] = []
    request = urllib3.PoolManager.request

    def counted(self: Any, method: str, url: str, **more: Any) -> Any:
        mine = threading.current_thread() is threading.main_thread()
        if mine:
            calls.append(f"{method} {url}")
        due = mine and len(calls) == at
        if due and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = request(self, method, url, **more)
        if due:
            answer.data  # noqa: B018 - the server has carried it out
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    urllib3.PoolManager.request = counted  # type: ignore[method-assign]
    return calls


if __name__ == "__main__":
    made = deadly(int(sys.argv[1]), after=sys.argv[2] == "after")
    sys.argv = ["flowc", *sys.argv[3:]]
    try:
        main()
    finally:
        print(f"calls: {len(made)}", file=sys.stderr)

"""In: a Step. Out: the fields of its template that let Argo try it again and stop it in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowc.merging import DEFAULT_TIME_LIMIT, retries, timeout_seconds

if TYPE_CHECKING:
    from flowc.ir import Step

DEFAULT_DEADLINE = DEFAULT_TIME_LIMIT


def retry_strategy(step: Step) -> dict[str, Any] | None:
    """`retryStrategy`: pods that fail or are lost are tried again, @retry's times and @catch's; None where one attempt is all."""
    found = retries(step)
    if found.total == 0:
        return None
    return {"retryPolicy": "Always", "limit": found.total, "backoff": {"duration": f"{found.backoff_minutes}m"}}


def attempt(step: Step) -> str:
    """Which attempt a pod is, counted from 0: Argo knows `{{retries}}` only where there is a retryStrategy."""
    return "{{retries}}" if retries(step).total else "0"


def deadline(step: Step) -> int:
    """`activeDeadlineSeconds` of one attempt."""
    return timeout_seconds(step)

"""In: a Flow and Settings. Out: the names and labels of what stands in the cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowc.deployment import names
from flowc.target import short_hash

if TYPE_CHECKING:
    from flowc.ir import Flow
    from flowc.settings import Settings

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def base(flow: Flow, settings: Settings) -> str:
    """The workflow's name as on Argo, without dots: names of Jobs become host names. At most 45 characters."""
    return names.workflow_name(flow, settings).replace(".", "-")


def account(flow: Flow, settings: Settings) -> str:
    """The coordinator's ServiceAccount, Role and RoleBinding."""
    return f"{base(flow, settings)}-coordinator"


def label_value(text: str) -> str:
    """The text itself, or where a label cannot hold it, its hash: a label is for finding, an annotation says the whole."""
    return text if LABEL_VALUE.fullmatch(text) else f"h-{short_hash(text, 16)}"

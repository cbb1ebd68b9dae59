"""Facts about every text and number of Metaflow's output: to change one is told, or named as not compared, save where it differs by design."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from compare import flows, made
from compare.made import ARGO, STATES

from flowc.comparison import argo, step_functions
from flowc.comparison.compare import compare

PLACES = (
    r"METAFLOW_(CODE|KUBERNETES|ARGO_EVENT_PAYLOAD|ARGO_WORKFLOWS?|WORKFLOW|PARENT|SPLIT)_\w+"
    r"|ARGO_WORKFLOW_\w+|RUN_PATHSPEC|USER|SFN_STATE_MACHINE|AWS_DEFAULT_REGION"
    r"|METAFLOW_(USER|OWNER|FLOW_FILENAME|FLOW_NAME|STEP_NAME|RUN_ID|RETRY_COUNT|VERSION|RUNTIME_NAME|RUNTIME_ENVIRONMENT|PRODUCTION_TOKEN"
    r"|SERVICE_HEADERS|DATASTORE_SYSROOT_S3x|DEFAULT_DATASTOREx|DEFAULT_METADATAx|SFN_DYNAMO_DB_TABLE|INPUT_PATHS|PARAMETERS)x?"
)
OURS = r"metaflow/(dag|deployment_timestamp|owner|sensor_name|sensor_namespace|user)|app\.kubernetes\.io/.*"
BY_DESIGN = {
    ARGO: (
        "apiVersion",
        rf"metadata\.(annotations|labels)\.({OURS})",
        # what stands on the whole, where it is compared, stands on runs and pods once more
        r"spec\.(podMetadata|workflowMetadata)\.(annotations|labels)\.(metaflow/.*|workflows\.argoproj\.io/.*|app\.kubernetes\.io/.*)",
        r"spec\.arguments\.parameters\[data_ready_\w+\]\..*",
        # tasks tell one another where they are, each compiler in its way; names that nobody asks for
        r"spec\.templates\[[\w-]+\]\.dag\.tasks\[[\w-]+\]\.(name|arguments\..*\.value)",
        r"spec\.templates\[[\w-]+\]\.(inputs|outputs)\.parameters\[[\w-]+\]\.(name|valueFrom\..*)",
        # how a pod starts
        r"spec\.templates\[[\w-]+\]\.container\.(command\[2\]|name)",
        rf"spec\.templates\[[\w-]+\]\.container\.env\[({PLACES})\]\..*",
        r"spec\.templates\[[\w-]+\]\.metadata\.annotations\.metaflow/attempt",
        r"spec\.templates\[[\w-]+\]\.volumes\[dhsmx?\]\..*",
        # hooks: what is compared is which function runs when, in which image
        r"spec\.templates\[(success-told|error-mourned)\]\.container\.(resources|env)\b.*",
        r"spec\.templates\[(error-msg-capture-hook|exit-hook-hack|capture-error-hook-fn-preflight)\]\..*",
    ),
    STATES: (
        r".*\.Parameters\.(JobDefinition|JobName|JobQueue)",
        r".*\.Parameters\.Parameters\.(metaflow\..*|step_name|split_parent_task_id_\w+\.\$|\$)",
        r".*\.ContainerOverrides\.Command\[2\]",
        rf".*\.Environment\[({PLACES})\]\..*",
        r".*\.Retry\[0\]\..*",
        # what states pass on, and where they get the width of a foreach
        r".*\.(OutputPath|ResultPath|ItemsPath|End)",
        r".*\.Parameters\.(ConsistentRead|ProjectionExpression|TableName|Key\..*|(Index|JobId|Parameters|SplitParentTaskId)\.\$)",
    ),
}


ALIKE = re.compile(r"spec\.templates\[(left|right|meet|gather|end)\]\.container\..*|.*States\.(right|gather|end)\.Parameters\..*")
"""Steps without anything of their own, of which others stand for."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all texts, numbers and booleans."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        if value is not None:
            yield path
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def named(document: Any, path: tuple[Any, ...]) -> str:
    """A path with names instead of numbers, where items of lists have any."""
    text, value = "", document
    for key in path:
        if isinstance(key, int):
            name = (value[key].get("name") or value[key].get("Name")) if isinstance(value[key], dict) else None
            text += f"[{key if name is None else name}]"
        else:
            text += f".{key}" if text else str(key)
        value = value[key]
    return text


def unnoticed(document: Any, same: Callable[[Any], bool]) -> Iterator[str]:
    """The paths of leaves that may change while both outputs still count as the same."""
    for path in list(leaves(document)):
        if ALIKE.fullmatch(named(document, path)):
            continue
        *keys, last = path
        parent = document
        for key in keys:
            parent = parent[key]
        value = parent[last]
        parent[last] = not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else f"{value}x"
        if same(document):
            yield named(document, path)
        parent[last] = value


@pytest.mark.slow
@pytest.mark.parametrize("engine", [ARGO, STATES])
def test_every_leaf_is_noticed(engine: str, metaflow: made.Metaflow) -> None:
    """Of a thousand leaves, those whose change is not noticed are the ones that differ by design, which the patterns above list."""
    text = flows.RICH if engine == ARGO else flows.BATCH
    variables = flows.EVENT_VARIABLES if engine == ARGO else {}
    settings = {"environment": variables, **flows.EVENTS} if engine == ARGO else {}
    new, record = made.ours(text, engine, settings)

    def same(document: Any) -> bool:
        try:
            old = argo.read([document]) if engine == ARGO else step_functions.read(document, {})
        except KeyError:
            return False
        return compare(old, new, record).same

    document = metaflow.only_json(text, engine, **variables)
    assert same(document)
    missed = set(unnoticed(document, same))
    patterns = BY_DESIGN[engine]
    assert {path for path in missed if not any(re.fullmatch(pattern, path) for pattern in patterns)} == set()
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in missed)] == []

"""A fact about any patch, however odd: it is merged, or told as the overlay's mistake; never a bug of flowc, and nothing is written then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from overlays import making, test_step_functions
from overlays.making import compiled

from flowc.settings import STEP_KINDS, Overlay
from flowc.target import load, names

KEYS = st.sampled_from(
    """metadata spec labels annotations finalizers containers initContainers name image env envFrom value valueFrom volumes volumeMounts mountPath
    emptyDir tolerations key nodeSelector securityContext affinity hostAliases imagePullSecrets activeDeadlineSeconds podSpecPatch templates dag tasks
    template templateDefaults container args data rules subjects replicatedJobs jobTemplate suspend schedules workflowSpec containerProperties
    nodeProperties environment States StartAt Resources StateMachine Properties Type $patch $retainKeys $deleteFromPrimitiveList/finalizers""".split()
)
LEAVES = st.sampled_from(["main", "a", "start", "out", "delete", "replace", "", "{{workflow.name}}", "{{x", "wait", "init", "a b", 1, -1, 1.5, True])
VALUES = st.recursive(LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)), max_leaves=12)
CONTAINERS = st.lists(st.dictionaries(KEYS, VALUES, max_size=2).map(lambda found: {"name": "main", **found}), max_size=2)
PATCHES = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.fixed_dictionaries({"spec": st.dictionaries(KEYS, VALUES, max_size=3)}, optional={"metadata": VALUES}),
    st.fixed_dictionaries({"spec": st.fixed_dictionaries({"containers": CONTAINERS}, optional={"volumes": VALUES, "tolerations": VALUES})}),
)


@pytest.mark.parametrize("target", names())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), PATCHES)
def test_any_patch(target: str, data: st.DataObject, patch: dict[str, Any]) -> None:
    """Of any kind of any target, of all flows or one step."""
    kind = data.draw(st.sampled_from(sorted(load(target).kinds)))
    steps = data.draw(st.sampled_from([(), ("start",), ("train",)])) if kind in STEP_KINDS else ()
    flow = test_step_functions.FLOW if target == "step-functions" else making.FLOW
    made = compiled({"mine": Overlay(kind, patch, steps=steps)}, target, flow, rbac=True)
    wrong = {each.code.id for each in made.diagnostics if each.severity.value == "error"}
    assert wrong <= {"FC510", "FC511", "FC514"}
    assert bool(made.artifacts) != bool(wrong)

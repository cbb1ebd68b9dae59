"""In: Settings. Out: a diagnostic for each name of an object, and each image, in them that no cluster takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowc.deployment.attributes import BAD_VALUE
from flowc.deployment.samples import sample
from flowc.diagnostics import Code, Diagnostic, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flowc.ir import Flow
    from flowc.settings import Settings

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_IMAGE = re.compile(r"\S+")

BAD_NAME = Code(
    "FC564",
    "a name that Kubernetes does not take",
    "Names of namespaces, service accounts, claims and Secrets have lower-case letters, digits and `-`, most of them `.` too.",
    bad=Example({"flow.py": sample()}, line=4, target="kubernetes", settings={"namespace": "My_Team"}),
    good=Example({"flow.py": sample()}, target="kubernetes", settings={"namespace": "my-team"}),
)


def check(flow: Flow, settings: Settings, own: tuple[str, ...] = (), filled: Callable[[str], str] = str) -> Iterator[Diagnostic]:
    """What is wrong with the names and images that every target for a cluster writes as they are, and with those of its `own` settings.

    `filled` is the text with what the engine fills in, as Argo does with `{{workflow.name}}`: in pods, not elsewhere.
    """
    plain = ["namespace", *own, *(["service-account"] if settings.rbac else [])]
    of_pods = [key for key in ("service-account", "config-map", "datastore-claim") if key not in plain]
    named = [(key, name, name) for key in plain if (name := getattr(settings, key.replace("-", "_"))) is not None]
    named += [(key, name, filled(name)) for key in of_pods if (name := getattr(settings, key.replace("-", "_"))) is not None]
    listed = {"secret": settings.secrets, "image-pull-secret": settings.image_pull_secrets}
    named += [(key, name, filled(name)) for key, names in listed.items() for name in names]
    for key, name, text in named:
        form, limit = (_LABEL, 63) if key.endswith("namespace") else (_SUBDOMAIN, 253)
        if not form.fullmatch(text) or len(text) > limit:
            help_ = "use lower-case letters, digits and `-`, with a letter or digit at both ends"
            yield Diagnostic(BAD_NAME, f"the setting {key} is `{name}`, which is no name of Kubernetes", flow.span, help=help_)
    yield from images(flow, settings, ("image", *(key for key in ("coordinator-image",) if settings.coordinator_image is not None)))


def images(flow: Flow, settings: Settings, keys: Iterable[str] = ("image",), code: Code = BAD_VALUE) -> Iterator[Diagnostic]:
    """What is wrong with these settings, each the image of what names none itself."""
    for key in keys:
        image = getattr(settings, key.replace("-", "_"))
        if not _IMAGE.fullmatch(image):
            message = f"the setting {key} is `{image}`, which is no image"
            yield Diagnostic(code, message, flow.span, help="give a reference like registry/name:tag")

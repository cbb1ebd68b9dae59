"""In: nothing. Out: `metaflow`, Metaflow's compilers on a configured machine, one for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from compare import made


@pytest.fixture(scope="session")
def metaflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[made.Metaflow]:
    """Metaflow with a bucket and a job queue."""
    pytest.importorskip("metaflow")
    pytest.importorskip("moto")
    with made.metaflow(tmp_path_factory.mktemp("metaflow")) as running:
        yield running

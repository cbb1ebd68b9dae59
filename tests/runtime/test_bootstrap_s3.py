"""In: a flow with loops, switches and a foreach. Out: proof that the bootstrap finds parents on S3 as on a local datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from runtime import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

boto3 = pytest.importorskip("boto3")
server = pytest.importorskip("moto.server")

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """The environment of a bucket in a server of this process."""
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client.create_bucket(Bucket="flows")
    place = {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://flows/metaflow", "METAFLOW_S3_ENDPOINT_URL": url}
    yield {**KEYS, **place}
    running.stop()


@pytest.mark.slow
def test_a_run_on_s3(tmp_path: Path, bucket: dict[str, str]) -> None:
    """Rounds, chosen branches, foreach widths and the parameters' task are found in a bucket; nothing is left in the folder."""
    engine = simulate.engine(simulate.FLOWS / "loops.py", tmp_path, environment=bucket)
    tasks = engine.run()
    assert [t.step for t in tasks if t.step == "descend"] == ["descend"] * 3
    assert {t.step: t.code for t in tasks}["end"] == 0
    assert not (tmp_path / ".metaflow" / "LoopFlow" / engine.run_id / "end" / "end" / "0.data.json").exists()
    client = boto3.client("s3", endpoint_url=bucket["METAFLOW_S3_ENDPOINT_URL"], **{k.lower(): v for k, v in KEYS.items() if "KEY" in k})
    listed = client.list_objects_v2(Bucket="flows", Prefix=f"metaflow/LoopFlow/{engine.run_id}/")["Contents"]
    ids = {key["Key"].split("/")[4] for key in listed}
    assert {"params", "start", "spin-r1", "descend-0-r1", "descend-1-r0", "even-1", "odd-0", "gather", "end"} <= ids

"""What @kubernetes asks of a pod, seen from inside it."""

import os

from metaflow import FlowSpec, kubernetes, resources, retry, step


class PodFlow(FlowSpec):
    @resources(cpu=1, memory=256)
    @kubernetes(
        image="python:3.11",
        cpu="0.1",
        memory=128,
        disk=256,
        secrets=["flowc-e2e"],
        service_account="argo-workflow",
        labels={"team": "e2e", "number": "007"},
        annotations={"note": 'a "quoted" {note}'},
        node_selector={"kubernetes.io/os": "linux"},
        tolerations=[{"key": "none-such", "operator": "Exists", "effect": "NoSchedule"}],
        tmpfs_size=16,
        use_tmpfs=True,
        tmpfs_path="/scratch",
        shared_memory=8,
        persistent_volume_claims={"flowc-shared": "/volume"},
        port=8080,
    )
    @step
    def start(self):
        self.secret = os.environ["E2E_KUBERNETES_SECRET"]
        self.scratch = os.path.ismount("/scratch")
        self.shm = os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize >> 20
        self.volume = os.path.ismount("/volume")
        self.next(self.plain)

    @retry(times=0)
    @kubernetes(security_context={"run_as_user": 1234, "run_as_non_root": True, "allow_privilege_escalation": False})
    @step
    def plain(self):
        self.user = os.getuid()
        self.next(self.end)

    @step
    def end(self):
        self.secret_here = "E2E_KUBERNETES_SECRET" in os.environ


if __name__ == "__main__":
    PodFlow()

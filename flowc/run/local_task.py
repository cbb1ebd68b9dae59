"""In: a task's arguments and FLOWC_* variables, boot.py beside it. Out: the task, run on this machine as `python FLOW run` would.

The bootstrap is written for pods. Here three of its facts differ: the code is the user's own file where it stands (nothing is copied or
installed), the step runs in the folder where `flowc run` was called, and the process that has imported Metaflow to find the task's
inputs forks to run the step, instead of starting Python and importing it again. Standard library, Python 3.8 syntax.
"""

import atexit
import base64
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
from pathlib import Path

import boot  # type: ignore[import-not-found]

ENV = os.environ
ENDED = (128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT)


def prepare(work):
    """Stands in a folder of the task's own, where the bootstrap leaves its files; the step itself runs elsewhere, as a hook does."""
    os.chdir(ENV["FLOWC_HERE"] if "--hook" in sys.argv else str(work))
    ENV.update(json.loads(base64.b64decode(ENV.pop("FLOWC_ENVIRONMENT", "")) or "{}"))
    return ENV["FLOWC_FILE"]


def launch(flow, arguments, original=boot.launch):
    """The step runs where the user stands and imports from the flow's folder, as with `python FLOW`."""
    os.chdir(ENV["FLOWC_HERE"])
    folder = Path(flow).resolve().parent
    boot.Path = type("Path", (type(folder),), {"cwd": staticmethod(lambda: folder)})
    original(flow, arguments)


class Forked:
    """A process that runs a flow's command, forked from this one; like Popen, as far as the bootstrap asks."""

    def __init__(self, command):
        pipes = [os.pipe(), os.pipe()]
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            leave(lambda: self.child(pipes, command))
        for _, end in pipes:
            os.close(end)
        self.stdout, self.stderr = (os.fdopen(end, "rb") for end, _ in pipes)

    def child(self, pipes, command):
        for number, (_, end) in enumerate(pipes, 1):
            os.dup2(end, number)
        for number in (number for pipe in pipes for number in pipe):
            os.close(number)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
        old = vars(sys.modules["__main__"])
        # Metaflow has put the tuples that it pickles into the first __main__
        tuples = {name: each for name, each in old.items() if isinstance(each, type) and issubclass(each, tuple)}
        boot.types = types.SimpleNamespace(**vars(types))
        boot.types.ModuleType = lambda name: seeded(name, tuples)
        launch(command[0], command[1:])

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        status = os.waitpid(self.pid, 0)[1]
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def seeded(name, values):
    module = types.ModuleType(name)
    vars(module).update(values)
    return module


def leave(work):
    """Do the work, then end this process as Python ends one: threads and `atexit` functions have their turn."""
    code = 0
    try:
        work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if code and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        threading._shutdown()  # noqa: SLF001
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def call(command, decorate=None, original=boot.call):
    """The bootstrap's `call`: a command of the flow is run by a fork, where that is safe, any other by a new process."""
    if not decorate or command[1:3] != [boot.BOOT, "="] or "FLOWC_FORK" not in ENV:
        return original(command, decorate)
    popen = boot.subprocess
    boot.subprocess = types.SimpleNamespace(Popen=lambda command, **_: Forked(command[3:]), PIPE=None)
    try:
        return original(command, decorate)
    finally:
        boot.subprocess = popen


def gang(size, arguments):
    """The nodes of a gang, each a process like this one, side by side; the first that fails ends the others."""
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = found.getsockname()[1]
    shared = dict(ENV, MF_WORLD_SIZE=str(size), MF_MASTER_ADDR="localhost", MF_MASTER_PORT=str(port))
    result = shared.pop("FLOWC_RESULT")
    shared.pop("FLOWC_EXIT")
    nodes = []
    for index in range(size):
        place = {"MF_CONTROL_INDEX": "0"} if not index else {"MF_WORKER_REPLICA_INDEX": str(index - 1)}
        nodes.append(subprocess.Popen([sys.executable, __file__, *arguments], env=dict(shared, **place), close_fds=False))
    signal.signal(signal.SIGTERM, lambda *_: [node.terminate() for node in nodes])
    code = 0
    while nodes and not code:
        pid, status = os.wait()
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        nodes = [node for node in nodes if node.pid != pid]
    for node in nodes:
        node.terminate()
    for node in nodes:
        node.wait()
    if not code:
        Path(result).write_text('{"splits": null, "case": null}')
    return code


def nursery(number):
    """Forks a task for each request that comes over the socket, and tells the exit code of each; ends when nobody is there any more."""
    # not metaflow.cli: where it is imported it takes the options that configs of the flow add, so the flow must have been read
    import metaflow.mflog.save_logs
    import metaflow.plugins.cards.card_creator
    import metaflow.runtime
    import metaflow.task  # noqa: F401

    asks, (wakes, woken) = socket.socket(fileno=number), socket.socketpair()
    for each in (wakes, woken):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    children = {}
    gc.freeze()
    while True:
        ready = select.select([asks, wakes], [], [])[0]
        if wakes in ready:
            wakes.recv(4096)
            while children:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                asks.send(json.dumps([children.pop(pid), code]).encode())
        if asks in ready:
            request, files, _, _ = socket.recv_fds(asks, 1 << 16, 2)
            if not request:
                return 0
            name, options, environment = json.loads(request)
            pid = os.fork()
            if not pid:
                leave(functools.partial(born, options, environment, files, (asks, wakes, woken)))
            children[pid] = name
            for file in files:
                os.close(file)


def born(options, environment, files, sockets):
    """A task, in a fork of the nursery."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in sockets:
        each.close()
    log, lock = files
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    os.set_inheritable(lock, True)
    ENV.update(environment, FLOWC_LOCK=str(lock))
    sys.exit(main(options))


def main(arguments):
    if arguments[:1] == ["="]:
        launch(arguments[1], arguments[2:])
        return 0
    if arguments[:1] == ["--nursery"]:
        return nursery(int(arguments[1]))
    if ENV.get("FLOWC_LOCK"):
        note = json.dumps([os.getpid(), int(ENV.get("FLOWC_GANG") or 0)]).encode()
        os.truncate(int(ENV["FLOWC_LOCK"]), 0)
        os.write(int(ENV.pop("FLOWC_LOCK")), note)
    size = ENV.pop("FLOWC_GANG", "")
    code = gang(int(size), arguments) if size else boot.main(arguments)
    # one who ends a task does not make it fail
    if code and code not in ENDED and ENV.get("FLOWC_EXIT"):
        Path(ENV["FLOWC_EXIT"]).write_text(str(code))
    return code


boot.BOOT, boot.prepare, boot.launch, boot.call, boot.install = str(Path(__file__).resolve()), prepare, launch, call, lambda _: None

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""In: a task's place in its run, as arguments and FLOWC_* variables. Out: the task, run by Metaflow, with its logs saved."""

import argparse
import base64
import contextlib
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import types
from importlib import metadata

ENV = os.environ
CHILD = []  # the process that signals are passed on to


class Problem(Exception):
    """What went wrong, for the user; needs no traceback."""


def parsed(argv):
    names = lambda text: [name for name in text.split(",") if name]  # noqa: E731
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("step")
    for name in ("first", "choose", "gang"):
        parser.add_argument("--" + name, action="store_true")
    for name in ("path", "round", "over"):
        parser.add_argument("--" + name, default="")
    for name in ("attempt", "user-retries"):
        parser.add_argument("--" + name, type=int, default=0)
    for name in ("from", "split", "gather", "loops"):
        parser.add_argument("--" + name, type=names, default=[], dest=name + "s")
    return parser.parse_args(argv)


# --- places and inputs ------------------------------------------------------------------------------------------------


def below(path, index):
    return "%s-%s" % (path, index) if path else str(index)


def above(path):
    return path.rpartition("-")[0]


def task_id(step, path, turn=""):
    return step + ("-" + path if path else "") + ("-r%s" % turn if turn != "" else "")


class Store:
    """What earlier tasks of the run left, read by Metaflow's own classes from whatever datastore the pod has."""

    def __init__(self, run):
        from metaflow.datastore import FlowDataStore
        from metaflow.metaflow_config import DEFAULT_DATASTORE
        from metaflow.plugins import DATASTORES

        impl = next(d for d in DATASTORES if d.TYPE == DEFAULT_DATASTORE)
        self.run, self.type = run, impl.TYPE
        self.root = impl.get_datastore_root_from_config(lambda *_, **__: None)
        if not self.root:
            raise Problem("the %s datastore has no root: set METAFLOW_DATASTORE_SYSROOT_%s" % (self.type, self.type.upper()))
        self.flow = FlowDataStore(ENV["FLOWC_CLASS"], None, storage_impl=impl, ds_root=self.root)

    def done(self, tasks):
        """Of these (step, id), those that ran, each with the steps that it went on to."""
        from metaflow.datastore import TaskDataStoreSet

        paths = ["%s/%s/%s" % (self.run, step, task) for step, task in tasks]
        found = TaskDataStoreSet(self.flow, self.run, pathspecs=paths, prefetch_data_artifacts=["_transition"])
        return {(d.step_name, d.task_id): (d.get("_transition") or ([],))[0] or [] for d in found}

    def last(self, places, loops):
        """Of these (step, path), the tasks that ran, the last round where the step loops: {place: (id, next steps)}."""
        ran, turn, left = {}, 0, list(places)
        while left:
            tasks = {place: task_id(*place, turn=turn if place[0] in loops else "") for place in left}
            found = self.done([(step, tasks[step, path]) for step, path in left])
            seen = [p for p in left if (p[0], tasks[p]) in found]
            ran.update((p, (tasks[p], found[p[0], tasks[p]])) for p in seen)
            left = [p for p in seen if p[0] in loops and p[0] in ran[p][1]]
            turn += 1
        return ran

    def outcome(self, step, task):
        """How wide a foreach or num_parallel step fans out (None for others), and the step that it went on to."""
        d = self.flow.get_task_datastore(self.run, step, task)
        gang = d.get("_foreach_var") == "_parallel_ubf_iter"
        width = d.get("_parallel_ubf_iter").num_parallel if gang else d.get("_foreach_num_splits")
        return {"splits": width, "case": ((d.get("_transition") or ([],))[0] or [None])[0]}


def inputs(o, store):
    """The tasks that this one reads, as (step, id), in order."""
    if o.first:
        return [("_parameters", "params")]
    if o.round not in ("", "0"):
        return [(o.step, task_id(o.step, o.path, int(o.round) - 1))]
    names, paths = o.froms or o.splits or o.gathers, [o.path]
    if o.splits:
        paths = [above(o.path)]
    elif o.gathers:
        paths = [below(o.path, i) for i in range(store.outcome(o.over, task_id(o.over, o.path))["splits"])]
    if not o.choose and not set(names) & set(o.loops):
        return [(step, task_id(step, path)) for path in paths for step in names]
    ran = store.last([(step, path) for path in paths for step in names], o.loops)
    chosen = []
    for path in paths:
        here = [(s, ran[s, path][0]) for s in names if (s, path) in ran and o.step in ran[s, path][1]]
        if not here:
            raise Problem("no task of %s%s went on to %s" % (" or ".join(names), " at " + path if path else "", o.step))
        if len(here) > 1 and o.gathers:
            raise Problem("several tasks at %s went on to %s: %s" % (path, o.step, ", ".join(t for _, t in here)))
        chosen += here
    return chosen


# --- the pod ----------------------------------------------------------------------------------------------------------


def prepare():
    """A writable copy of the flow's code; stands in the folder of the flow file and returns its name."""
    work = tempfile.mkdtemp(prefix="flowc-", dir=ENV.get("FLOWC_WORK") or None)
    code, copy = ENV.get("FLOWC_CODE", "/flowc/code").rstrip("/"), os.path.join(work, "code")
    shutil.copytree(code, copy, ignore=shutil.ignore_patterns(".git", "..*"))
    coded = os.path.join(os.path.dirname(code), "b64")
    for folder, _, names in os.walk(coded):
        target = os.path.join(copy, os.path.relpath(folder, coded))
        os.makedirs(target, exist_ok=True)
        for name in names:
            with open(os.path.join(folder, name), "rb") as text, open(os.path.join(target, name), "wb") as out:
                out.write(base64.b64decode(text.read()))
    if ENV.get("FLOWC_WORK"):
        ENV.setdefault("TMPDIR", work)
    if not os.access(ENV.get("HOME", ""), os.W_OK):
        ENV["HOME"] = work
    ENV.setdefault("USER", "flowc")
    if ENV["USER"] == "root":
        ENV.setdefault("METAFLOW_USER", "flowc")
    ENV.update(json.loads(base64.b64decode(ENV.pop("FLOWC_ENV", "")) or "{}"))
    flow = os.path.join(copy, ENV["FLOWC_FLOW"])
    if not os.path.isfile(flow):
        raise Problem("there is no flow file %s in %s" % (ENV["FLOWC_FLOW"], code))
    os.chdir(os.path.dirname(flow))
    return work, os.path.basename(flow)


def install(work):
    """Metaflow and the datastore's client into the work folder, as far as the image lacks them."""
    wanted = json.loads(ENV.get("FLOWC_INSTALL") or "{}")
    wanted = wanted.get("", []) + wanted.get(ENV.get("METAFLOW_DEFAULT_DATASTORE"), [])
    missing = [w for w in wanted if not present(w.partition("==")[0])]
    if missing:
        target = os.path.join(work, "site")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir", "--target", target]
        only_metaflow = ["--no-deps"] if missing == wanted[:1] else []
        if call(pip + only_metaflow + missing):
            raise Problem("pip cannot install %s; use an image that has it, or give pods an index by PIP_INDEX_URL" % " ".join(missing))
        sys.path.insert(0, target)
        ENV["PYTHONPATH"] = os.pathsep.join(filter(None, [target, ENV.get("PYTHONPATH")]))
        importlib.invalidate_caches()
    if not importlib.util.find_spec("metaflow"):
        raise Problem("this image has no metaflow, and installing it is switched off")


def present(name):
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return importlib.util.find_spec(name.replace("-", "_")) is not None


def call(command, decorate=None):
    """The exit code of a command; its output goes on to the pod's, and to Metaflow's log files."""
    piped = subprocess.PIPE if decorate else None
    child = subprocess.Popen(command, stdout=piped, stderr=piped)
    CHILD[:] = [child]
    threads = []
    if decorate:
        pairs = (child.stdout, sys.stdout, "MFLOG_STDOUT"), (child.stderr, sys.stderr, "MFLOG_STDERR")
        threads = [threading.Thread(target=tee, args=(*pair, decorate), daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    code = child.wait()
    for thread in threads:
        thread.join(10)  # a process left behind may hold the pipe open
    CHILD.clear()
    return code if code >= 0 else 128 - code


def tee(source, sink, log, decorate):
    with open(ENV[log], "ab", buffering=0) as file:
        for line in source:
            file.write(decorate(b"task", line))
            sink.buffer.write(line)
            sink.flush()


def forward(number, _):
    if not CHILD:
        sys.exit(128 + number)
    CHILD[0].send_signal(number)


# --- the task ---------------------------------------------------------------------------------------------------------


def parameters():
    """The submitted values as options of `init`: text, or JSON of it; null is no value where the default is none."""
    declared = json.loads(ENV.get("FLOWC_DECLARED", "{}"))
    given = json.loads(base64.b64decode(ENV.get("FLOWC_PARAMETERS", "")) or "{}")
    options = []
    for name, text in given.items():
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if name in declared and not (value is None and "n" in declared[name]):
            many = value if "m" in declared[name] and isinstance(value, list) else [value if isinstance(value, str) else text]
            options += ["--%s=%s" % (name, v if isinstance(v, str) else json.dumps(v)) for v in many]
    return options


def task(o, work, flow):
    from metaflow.metaflow_config import DEFAULT_EVENT_LOGGER, DEFAULT_METADATA, DEFAULT_MONITOR
    from metaflow.mflog.mflog import decorate

    run, index = ENV["FLOWC_RUN_ID"], o.path.rpartition("-")[2]
    store = Store(run)
    command = [sys.executable, os.path.abspath(BOOT), "=", flow, "--quiet", "--no-pylint", "--environment=local"]
    command += ["--metadata=" + DEFAULT_METADATA, "--event-logger=" + DEFAULT_EVENT_LOGGER, "--monitor=" + DEFAULT_MONITOR]
    command += ["--datastore=" + store.type, "--datastore-root=" + store.root] + json.loads(ENV.get("FLOWC_TOP", "[]"))
    step = ["--retry-count=%d" % o.attempt, "--max-user-code-retries=%d" % o.user_retries]
    if o.gang:
        index = "0" if "MF_CONTROL_INDEX" in ENV else str(int(ENV["MF_WORKER_REPLICA_INDEX"]) + 1)
        ENV["MF_PARALLEL_CONTROL_TASK_ID"], o.path = task_id(o.step, below(o.path, 0)), below(o.path, index)
        ENV.setdefault("METAFLOW_RUNTIME_ENVIRONMENT", "kubernetes")
        command.append("--with=kubernetes")
        alone = ENV.get("MF_WORLD_SIZE") == "1"  # a control task of one cannot be: Metaflow asks it for its workers
        step.append("--ubf-context=" + ("ubf_control" if index == "0" and not alone else "ubf_task"))
    me = task_id(o.step, o.path, o.round)
    tags = ["--tag=" + tag for tag in json.loads(ENV.get("FLOWC_TAGS", "[]"))]
    ENV.update(MF_PATHSPEC="/".join((ENV["FLOWC_CLASS"], run, o.step, me)), MF_ATTEMPT=str(o.attempt), PYTHONUNBUFFERED="x")
    ENV.update(MF_DATASTORE=store.type, MF_DATASTORE_ROOT=store.root)
    ENV.update(MFLOG_STDOUT=os.path.join(work, "stdout"), MFLOG_STDERR=os.path.join(work, "stderr"))
    try:
        code = 0
        if o.first and not store.done([("_parameters", "params")]):
            code = call(command + ["init", "--run-id=" + run, "--task-id=params"] + tags + parameters(), decorate)
        if not code:
            reads = os.path.join(work, "inputs")
            with open(reads, "w") as file:
                file.write(",".join("%s/%s/%s" % (run, *place) for place in inputs(o, store)))
            if o.splits:
                step.append("--split-index=" + index)
            if ENV.get("FLOWC_NAMESPACE"):
                step.append("--namespace=" + ENV["FLOWC_NAMESPACE"])
            step += ["--run-id=" + run, "--task-id=" + me, "--input-paths-filename=" + reads] + tags
            code = call(command + ["step", o.step] + step, decorate)
        if not code and ENV.get("FLOWC_RESULT"):
            with open(ENV["FLOWC_RESULT"], "w") as file:
                json.dump(store.outcome(o.step, me), file)
        return code
    except Problem as problem:
        say(problem)
        with open(ENV["MFLOG_STDERR"], "ab") as file:
            file.write(decorate(b"task", b"flowc: %s\n" % str(problem).encode()))
        return 1
    finally:
        from metaflow.mflog.save_logs import save_logs

        with contextlib.redirect_stdout(io.StringIO()):
            save_logs()


def launch(flow, arguments):
    """What `python FLOW ARGUMENTS` does, also where the file launches no flow or another one.

    Differs from it in two things: `init` evaluates defaults that are functions or files, as `run` does; and steps decorated with
    @kubernetes or @batch accept the local datastore, which the pods of this run share.
    """
    sys.argv, sys.path[0] = [flow] + arguments, os.getcwd()
    from metaflow import FlowSpec
    from metaflow.parameters import Parameter
    from metaflow.plugins import STEP_DECORATORS

    def kwargs(parameter, deploy_mode, original=Parameter.option_kwargs):
        return original(parameter, deploy_mode or not parameter.IS_CONFIG_PARAMETER)

    def start(self, use_cli=True, original=FlowSpec.__init__):
        if not use_cli or type(self).__name__ == ENV["FLOWC_CLASS"]:
            original(self, use_cli)

    def shared(original):
        def step_init(self, f, graph, step, decos, environment, datastore, logger):
            if datastore.TYPE == "local":
                datastore = types.SimpleNamespace(TYPE="s3")
            original(self, f, graph, step, decos, environment, datastore, logger)

        return step_init

    Parameter.option_kwargs, FlowSpec.__init__ = kwargs, start
    for decorator in STEP_DECORATORS:
        if decorator.name in ("kubernetes", "batch"):
            decorator.step_init = shared(decorator.step_init)
    main = types.ModuleType("__main__")
    main.__file__ = flow
    sys.modules["__main__"] = main
    with open(flow, "rb") as file:
        exec(compile(file.read(), flow, "exec"), main.__dict__)
    getattr(main, ENV["FLOWC_CLASS"])()


def say(text):
    print("flowc: %s" % text, file=sys.stderr, flush=True)


def main(argv):
    o, work = parsed(argv), None
    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)
    try:
        work, flow = prepare()
        install(work)
        return task(o, work, flow)
    except Problem as problem:
        say(problem)
        return 1
    finally:
        os.chdir("/")
        shutil.rmtree(work or "", ignore_errors=True)


BOOT = __file__
if __name__ == "__main__":
    if sys.argv[1:2] == ["="]:
        launch(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))

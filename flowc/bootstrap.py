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
import time
import traceback
import types
from importlib import metadata
from pathlib import Path

BOOT, ENV = str(Path(__file__).resolve()), os.environ
CHILD = []  # the process that signals are passed on to


class PodError(Exception):
    """What went wrong, for the user; needs no traceback."""


def parsed(argv):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("step")
    for name in ("path", "round", "over"):
        parser.add_argument("--" + name, default="")
    for name in ("attempt", "user-retries"):
        parser.add_argument("--" + name, type=int)
    for name in ("first", "choose", "gang", "tell", "hook"):
        parser.add_argument("--" + name, action="store_true")
    for name in ("from", "split", "gather", "loops"):
        parser.add_argument("--" + name, type=lambda text: text.split(","), default=[], dest="by_" + name)
    return settled(parser.parse_args(argv))


def settled(o):
    """With what only the engine's own variables say: the place in an array (`@` in the path; FLOWC_PATHS lists them), the attempt."""
    if "@" in o.path:
        index = ENV["JOB_COMPLETION_INDEX" if "JOB_COMPLETION_INDEX" in ENV else "AWS_BATCH_JOB_ARRAY_INDEX"]
        paths = json.loads(ENV.get("FLOWC_PATHS", "[]"))
        o.path = paths[int(index)] if paths else o.path.replace("@", index)
    o.path, o.round = o.path or ENV.get("FLOWC_PATH", ""), o.round or ENV.get("FLOWC_ROUND", "")
    if o.attempt is None:
        o.attempt = int(ENV.get("AWS_BATCH_JOB_ATTEMPT", "1")) - 1
    return o


def below(path, index):
    return "%s-%s" % (path, index) if path else str(index)


def task_id(step, path, turn=""):
    return "-".join([step] + [path] * (path != "") + ["r%s" % turn] * (turn != ""))


class Store:
    """What the run's tasks left, read by Metaflow's own classes from the datastore that the pod has."""

    def __init__(self, run):
        from metaflow.datastore import FlowDataStore, TaskDataStoreSet
        from metaflow.metaflow_config import DEFAULT_DATASTORE
        from metaflow.plugins import DATASTORES

        impl = next(d for d in DATASTORES if d.TYPE == DEFAULT_DATASTORE)
        self.run, self.type, self.many = run, impl.TYPE, TaskDataStoreSet
        self.root = impl.get_datastore_root_from_config(lambda *_, **__: None)
        if not self.root:
            raise PodError("the %s datastore has no root: set METAFLOW_DATASTORE_SYSROOT_%s" % (self.type, self.type.upper()))
        self.flow = FlowDataStore(ENV["FLOWC_CLASS"], None, storage_impl=impl, ds_root=self.root)

    def done(self, tasks):
        """Of these (step, id), those that ran, each with the steps that it went on to."""
        paths = ["%s/%s/%s" % (self.run, *task) for task in tasks]
        found = self.many(self.flow, self.run, pathspecs=paths, prefetch_data_artifacts=["_transition"])
        return {(d.step_name, d.task_id): onward(d) for d in found}

    def last(self, places, loops):
        """Of these (step, path), the tasks that ran, the last round of steps that loop: {place: (id, next steps)}."""
        ran, turn = {}, 0
        while places:
            ids = {p: task_id(*p, turn=turn if p[0] in loops else "") for p in places}
            found = self.done([(p[0], ids[p]) for p in places])
            places = [p for p in places if (p[0], ids[p]) in found]
            ran.update((p, (ids[p], found[p[0], ids[p]])) for p in places)
            places, turn = [p for p in places if p[0] in loops and p[0] in ran[p][1]], turn + 1
        return ran

    def outcome(self, step, task):
        """How many tasks a foreach or num_parallel step fans out to (None for others), and the first step it went on to."""
        d = self.flow.get_task_datastore(self.run, step, task)
        gang = d.get("_foreach_var") == "_parallel_ubf_iter"
        splits = d["_parallel_ubf_iter"].num_parallel if gang else d.get("_foreach_num_splits")
        return {"splits": splits, "case": next(iter(onward(d)), None)}


def onward(datastore):
    return (datastore.get("_transition") or ([],))[0] or []


def inputs(o, store):
    """The tasks that this one reads, as (step, id), in order."""
    if o.round not in ("", "0"):
        return [(o.step, task_id(o.step, o.path, int(o.round) - 1))]
    if o.first:
        return [("_parameters", "params")]
    names, paths = o.by_from or o.by_split or o.by_gather, [o.path]
    if o.by_split:
        paths = [o.path.rpartition("-")[0]]
    elif o.by_gather:
        paths = [below(o.path, i) for i in range(store.outcome(o.over, task_id(o.over, o.path))["splits"])]
    if not o.choose and not set(names) & set(o.by_loops):
        return [(step, task_id(step, path)) for path in paths for step in names]
    ran, chosen = store.last([(step, path) for path in paths for step in names], o.by_loops), []
    for path in paths:
        here = [(s, ran[s, path][0]) for s in names if (s, path) in ran and o.step in ran[s, path][1]]
        if not here or (o.by_gather and len(here) > 1):
            raise PodError("of %s, at '%s', %s went on to %s" % (", ".join(names), path, [t for _, t in here] or "none", o.step))
        chosen += here
    return chosen


def prepare(work):
    """Copies the flow's code to where it may be written, stands in the folder of the flow file, and returns its name."""
    code, copy = Path(ENV.get("FLOWC_CODE", "/flowc/code")), work / "code"
    if code.is_dir():  # not there where all files are in b64
        shutil.copytree(str(code), str(copy), ignore=shutil.ignore_patterns(".git", ".metaflow", "..*"))
    coded = code.parent / "b64"
    for source in coded.rglob("*"):
        if source.is_file():
            target = copy / source.relative_to(coded)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(base64.b64decode(source.read_bytes()))
    flow = copy / ENV["FLOWC_FLOW"]
    if not flow.is_file():
        raise PodError("there is no flow file %s in %s" % (ENV["FLOWC_FLOW"], code))
    flow.parent.chmod(0o755)
    os.chdir(str(flow.parent))
    if ENV.get("HOME", "/") == "/":  # a user without a home
        ENV["HOME"] = str(work)
    for name in ("METAFLOW_USER", "USER"):
        ENV.setdefault(name, "flowc")
    ENV.update(json.loads(base64.b64decode(ENV.pop("FLOWC_ENVIRONMENT", "")) or "{}"))
    return flow.name


def install(site):
    """Metaflow and the datastore's client, as far as the image lacks them."""
    wanted = json.loads(ENV.get("FLOWC_INSTALL") or "{}")
    wanted = wanted.get("", []) + wanted.get(ENV.get("METAFLOW_DEFAULT_DATASTORE"), [])
    missing = [w for w in wanted if not present(w.partition("==")[0])]
    if missing:
        # the image's own packages come second, so what it has is not installed again where Metaflow alone is missing
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir", "--target", site]
        if call([*pip, *["--no-deps"] * (missing == wanted[:1]), *missing]):
            raise PodError("pip cannot install %s: use an image that has it, or set PIP_INDEX_URL to an index that pods reach" % missing)
        sys.path.insert(0, site)
        ENV["PYTHONPATH"] = os.pathsep.join(filter(None, (site, ENV.get("PYTHONPATH"))))
        importlib.invalidate_caches()
    if not importlib.util.find_spec("metaflow"):
        raise PodError("the image has no metaflow, and may not install it")


def present(name):
    with contextlib.suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(name))
    return bool(importlib.util.find_spec(name.replace("-", "_")))


def call(command, decorate=None):
    """The exit code of a command. With `decorate` its output goes to Metaflow's log files too."""
    pipe = subprocess.PIPE if decorate else None
    child = subprocess.Popen(command, stdout=pipe, stderr=pipe)
    CHILD.append(child)
    streams = [(child.stdout, sys.stdout, "MFLOG_STDOUT"), (child.stderr, sys.stderr, "MFLOG_STDERR")] if decorate else []
    threads = [threading.Thread(target=tee, args=(*stream, decorate), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    code = child.wait()
    for thread in threads:
        thread.join(10)  # a process left behind may hold the pipe open
    CHILD.clear()
    return code if code >= 0 else 128 - code


def tee(source, sink, log, decorate):
    with Path(ENV[log]).open("ab", buffering=0) as file:
        for line in source:
            file.write(decorate(b"task", line))
            sink.buffer.write(line)
            sink.flush()


def forward(number, _):
    if not CHILD:
        sys.exit(128 + number)
    CHILD[0].send_signal(number)


def parameters():
    """The submitted values as options of `init`. A value is JSON or else text; null is no value where the default is none."""
    declared, options = json.loads(ENV.get("FLOWC_DECLARED", "{}")), []
    given = json.loads(base64.b64decode(ENV.get("FLOWC_PARAMETERS", "")) or "{}")
    if "FLOWC_INPUT" in ENV:  # what an execution of Step Functions was started with: values by name, or the JSON of them
        found = (json.loads(ENV["FLOWC_INPUT"]) or {}).get("Parameters") or {}
        found = json.loads(found) if isinstance(found, str) else found
        given = {name: json.dumps(value) for name, value in found.items() if value is not None}
    for name, text in given.items():
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        flags = declared.get(name)
        if flags is not None and not (value is None and "n" in flags):
            many = value if "m" in flags and isinstance(value, list) else [value if isinstance(value, str) else text]
            options += ["--%s=%s" % (name, one if isinstance(one, str) else json.dumps(one)) for one in many]
    return options


def commands(o, store, flow, reads):
    """The commands of `init` and of the step. Sets what Metaflow's logs and gangs take from the environment."""
    from metaflow.metaflow_config import ARGO_EVENTS_WEBHOOK_URL, DEFAULT_EVENT_LOGGER, DEFAULT_METADATA, DEFAULT_MONITOR

    more = ENV.get("FLOWC_TOP", "[]")
    if not ARGO_EVENTS_WEBHOOK_URL:  # nobody to tell: each step would complain
        more = more.replace("auto-emit-argo-events=1", "auto-emit-argo-events=0")
    top = [sys.executable, BOOT, "=", flow, "--quiet", "--no-pylint", "--environment=local", "--metadata=" + DEFAULT_METADATA]
    top += ["--event-logger=" + DEFAULT_EVENT_LOGGER, "--monitor=" + DEFAULT_MONITOR]
    top += ["--datastore=" + store.type, "--datastore-root=" + store.root, *json.loads(more)]
    options = ["--retry-count=%d" % o.attempt, "--max-user-code-retries=%d" % (o.user_retries or 0), "--input-paths-filename=" + reads]
    if o.gang:
        index = 0 if "MF_CONTROL_INDEX" in ENV else int(ENV["MF_WORKER_REPLICA_INDEX"]) + 1
        ENV["MF_PARALLEL_CONTROL_TASK_ID"], o.path = task_id(o.step, below(o.path, 0)), below(o.path, index)
        ENV.setdefault("METAFLOW_RUNTIME_ENVIRONMENT", "kubernetes")
        top.append("--with=kubernetes")
        # Metaflow cannot run a control task that has no workers
        options.append("--ubf-context=" + ("ubf_task" if index or ENV.get("MF_WORLD_SIZE") == "1" else "ubf_control"))
    if o.by_split:
        options.append("--split-index=" + o.path.rpartition("-")[2])
    me = task_id(o.step, o.path, o.round)
    ENV.update(MF_PATHSPEC="/".join((ENV["FLOWC_CLASS"], store.run, o.step, me)), MF_ATTEMPT=str(o.attempt), PYTHONUNBUFFERED="x")
    ENV.update(MF_DATASTORE=store.type, MF_DATASTORE_ROOT=store.root)
    run = ["--run-id=" + store.run, *("--tag=" + tag for tag in json.loads(ENV.get("FLOWC_TAGS", "[]")))]
    return me, [*top, "init", "--task-id=params", *run], [*top, "step", o.step, "--task-id=" + me, *run, *options]


def task(o, work, flow):
    from metaflow.mflog.mflog import decorate
    from metaflow.mflog.save_logs import save_logs

    store, reads = Store(ENV["FLOWC_RUN_ID"]), work / "inputs"
    me, init, step = commands(o, store, flow, str(reads))
    here = Path(".metaflow")  # where cards of a local datastore are put, and what @kubernetes packs up
    if not here.exists():
        here.symlink_to(store.root) if store.type == "local" else here.mkdir()
    for name in ("stdout", "stderr"):
        (work / name).touch()
        ENV["MFLOG_" + name.upper()] = str(work / name)
    try:
        code, ready = 0, (o.tell or "FLOWC_ONCE" in ENV) and finished(o, store, me)
        if not ready and o.first and not store.done([("_parameters", "params")]):
            code = call(init + parameters(), decorate)
        if not code and not ready:
            reads.write_text(",".join("%s/%s/%s" % (store.run, *place) for place in inputs(o, store)))
            code = call(step, decorate)
            if not code and o.gang and ENV.get("AWS_BATCH_JOB_NODE_INDEX") == "0":
                wait(o, store)
        if not code and ENV.get("FLOWC_RESULT"):
            tell(ENV["FLOWC_RESULT"], "%s/%s" % (store.run, me), store.outcome(o.step, me))
    except Exception as error:
        code = 1
        with (work / "stderr").open("ab") as file:
            for line in told(error).splitlines():
                file.write(decorate(b"task", line.encode() + b"\n"))
    finally:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                save_logs()
        except Exception as error:  # what the step did, counts
            told(error)
    return code


def wait(o, store):
    """For the other nodes of a multi-node job, which Batch stops when the first one ends; as long as Metaflow's @batch would."""
    others = [(o.step, task_id(o.step, below(o.path.rpartition("-")[0], i))) for i in range(1, int(ENV["MF_WORLD_SIZE"]))]
    end = time.time() + 600
    while len(store.done(others)) < len(others):
        if time.time() > end:
            raise PodError("10 minutes after the first node of %s, not all others have finished" % o.step)
        time.sleep(3)


def finished(o, store, me):
    """Whether the task succeeded already; failed attempts count as done to Metaflow. `--tell` asks for the outcome of one that did."""
    ran = bool(store.done([(o.step, me)])) and store.flow.get_task_datastore(store.run, o.step, me).get("_task_ok")
    if o.tell and not ran:
        raise PodError("the task %s of the run %s has not finished" % (me, store.run))
    return ran


def tell(place, task, outcome):
    """Leaves what the engine has to know in a file, or below an S3 prefix as RUN/TASK.json (there with all indices, as Map takes them)."""
    if not place.startswith("s3://"):
        Path(place).write_text(json.dumps(outcome))
        return
    from metaflow.plugins.datatools.s3.s3util import get_s3_client

    bucket, _, prefix = place[len("s3://") :].partition("/")
    body = json.dumps(dict(outcome, indices=list(range(outcome["splits"] or 0))))
    key = "/".join(filter(None, (prefix.rstrip("/"), task + ".json")))
    get_s3_client()[0].put_object(Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json")


def launch(flow, arguments):
    """What `python FLOW ARGUMENTS` does, also where the file launches no flow, or another one.

    Beyond that, `init` evaluates defaults that are functions or files, as `run` does; steps with @kubernetes or @batch
    accept the local datastore, which here is a folder that pods share; @conda and @pypi find their packages in the image; and
    cards are rendered by a process like this one.
    """
    sys.argv, sys.path[0] = [flow, *arguments], str(Path.cwd())
    main = sys.modules["__main__"] = types.ModuleType("__main__")  # before Metaflow, which adds to it what it pickles
    main.__file__ = str(Path(flow).resolve())
    from metaflow import FlowSpec
    from metaflow.parameters import Parameter
    from metaflow.plugins import FLOW_DECORATORS, STEP_DECORATORS
    from metaflow.plugins.cards.card_creator import CardCreator

    def option_kwargs(parameter, deploy_mode, original=Parameter.option_kwargs):
        return original(parameter, deploy_mode or not parameter.IS_CONFIG_PARAMETER)

    def start(self, use_cli=True, original=FlowSpec.__init__):
        if not use_cli or type(self).__name__ == ENV["FLOWC_CLASS"]:
            original(self, use_cli)

    def render(self, command, *rest, original=CardCreator._run_command, **more):  # noqa: SLF001
        return original(self, [command[0], BOOT, "=", *command[1:]], *rest, **more)

    def shared(original):
        def step_init(self, f, graph, step, decos, environment, datastore, logger):
            local = datastore.TYPE == "local"
            original(self, f, graph, step, decos, environment, types.SimpleNamespace(TYPE="s3") if local else datastore, logger)

        return step_init

    Parameter.option_kwargs, FlowSpec.__init__ = option_kwargs, start
    CardCreator._run_command = render  # noqa: SLF001
    for decorator in [*STEP_DECORATORS, *FLOW_DECORATORS]:
        if decorator.name in ("kubernetes", "batch"):
            decorator.step_init = shared(decorator.step_init)
        elif decorator.name.partition("_")[0] in ("conda", "pypi"):
            decorator.step_init = decorator.flow_init = decorator.task_pre_step = lambda *_, **__: None
    exec(compile(Path(flow).read_bytes(), main.__file__, "exec"), main.__dict__)
    getattr(main, ENV["FLOWC_CLASS"])()


def told(error):
    """The text of an error, which the pod has then shown."""
    text = "flowc: %s" % error if isinstance(error, PodError) else traceback.format_exc()
    print(text, file=sys.stderr, flush=True)
    return text


def main(argv):
    o = parsed(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    work = Path(tempfile.mkdtemp(prefix="flowc-", dir=ENV.get("FLOWC_WORK") or None))
    try:
        flow = prepare(work)
        install(str(work / "site"))
        run = [flow, o.step, ENV["FLOWC_CLASS"] + "/" + ENV["FLOWC_RUN_ID"]]
        return call([sys.executable, "-m", "metaflow.plugins.exit_hook.exit_hook_script", *run]) if o.hook else task(o, work, flow)
    except Exception as error:
        told(error)
        return 1
    finally:
        os.chdir("/")
        shutil.rmtree(str(work), ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["="]:
        launch(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))

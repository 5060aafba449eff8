"""Sweeps on a Ray cluster: the same numbers as on one machine, whatever happens to nodes and processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import oodml
from oodml.dataset_ref import DatasetRef
from oodml.datasets import load_dataset
from oodml.errors import MissingPackageError, OodmlError, StorageError, UsageError
from oodml.executors import run_jobs
from oodml.executors.jobs import Job, Outcome
from oodml.executors.places import Places
from oodml.executors.ray_connection import check_address, import_ray
from oodml.executors.ray_needs import Needs
from oodml.executors.ray_results import check_installation, commit, reason_of
from oodml.executors.ray_scratch import scratch_folder
from oodml.executors.ray_task import SEEN_BY, Order, _work
from oodml.make_splits import ladder_from_dataset
from oodml.prepared_sweep import SweepOptions, prepare_sweep
from oodml.records import Ladder
from oodml.splits.files import save_ladder
from oodml.sweep import SweepResult, execute_sweep
from oodml.watching import NOBODY, Watcher

TRAIN = {"steps": 8, "batch_size": 16, "per_class": 4, "embedding_dim": 6}
KEY = ["run_id", "setting", "shots", "adapter", "episode", "metric"]


@dataclass(frozen=True)
class Bench:
    """As much of a bench as the executor looks at."""

    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """A job that notes every attempt in a folder that all nodes see, and then ends in its own way."""

    name: str
    notes: Path
    how: str = "done"

    @property
    def label(self) -> str:
        return self.name

    def run(self, bench: Any, sweep: Path) -> Outcome:
        import ray

        with (self.notes / self.name).open("a") as file:
            gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
            file.write(f"{ray.get_runtime_context().get_node_id()} {os.getpid()} {bench.device} {gpu}\n")
        first = len(attempts(self.notes, self.name)) == 1
        if self.how == "killed once":
            with (sweep / "checkpoints" / self.name).open("a") as checkpoint:
                checkpoint.write("half ")
        if self.how == "killed" or (self.how == "killed once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "hangs":
            time.sleep(300)
        while self.how == "waits" and not (self.notes / "go").exists():
            time.sleep(0.1)
        if self.how == "breaks":
            raise RuntimeError("a bug")
        if self.how == "full disk":
            raise StorageError("no space left")
        (sweep / "results").mkdir()
        (sweep / "results" / self.name).write_text(self.how)
        return Outcome(self, "done", "", 0.0)

    def record_loss(self, bench: Any, sweep: Path, status: str, error: str) -> None:
        (sweep / f"{self.name} lost").write_text(f"{status}: {error}")


def attempts(notes: Path, name: str) -> list[str]:
    path = notes / name
    return path.read_text().splitlines() if path.exists() else []


class Heard(Watcher):
    def __init__(self) -> None:
        self.started_labels: list[str] = []

    def started(self, job: Job) -> None:
        self.started_labels.append(job.label)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cluster(own_cache: None) -> Iterator[Any]:
    """A head and one more node, each with one slot, as processes of this machine."""
    import_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": free_port()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the tasks of this file are found
        found: Any = Cluster(initialize_head=True, head_node_args=head)
        found.add_node(num_cpus=1)
        found.client_port = head["ray_client_server_port"]
        yield found
        found.shutdown()


def places(cluster: Any, **values: Any) -> Places:
    return Places(executor="ray", ray_address=cluster.address, **values)


def run(jobs: list[Task], sweep: Path, where: Places, watcher: Watcher | None = None) -> dict[str, Outcome]:
    found = list(run_jobs(Bench(), jobs, sweep, where, watcher or Watcher()))  # type: ignore[arg-type]
    assert len({outcome.job for outcome in found}) == len(found)
    return {outcome.job.label: outcome for outcome in found}


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=2, null_draws=5)


def sweep(ladder: Ladder, out: Path, watcher: Watcher = NOBODY, **places: Any) -> SweepResult:
    asked: dict[str, Any] = {"methods": ["frozen", "margin"], "seeds": [0, 1], "shots": [2], "adapters": ["prototypes"]}
    options = SweepOptions(settings={"train": TRAIN}, **asked, **places)
    return execute_sweep(prepare_sweep(ladder, DatasetRef(ladder.dataset), options, out), watcher)


def scores(folder: Path) -> pd.DataFrame:
    runs = oodml.read_runs(folder)
    assert set(runs["status"]) == {"done"} and not runs.duplicated(KEY).any()
    return runs.sort_values(KEY, ignore_index=True)[[*KEY, "value", "num_queries", "num_classes"]]


@pytest.fixture(scope="module")
def local(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("local")
    sweep(ladder, folder, workers=1)
    return scores(folder)


@pytest.mark.slow
def test_two_nodes_give_the_same_numbers_as_one_process(
    cluster: Any, ladder: Ladder, local: pd.DataFrame, tmp_path: Path
) -> None:
    done = sweep(ladder, tmp_path, executor="ray", ray_address=cluster.address)
    assert done.outcomes == {"done": 6} and not done.failures  # frozen vectors need one seed
    pd.testing.assert_frame_equal(scores(tmp_path), local, check_exact=True)
    assert not [*tmp_path.glob("models/*"), *tmp_path.glob("logs/*"), *tmp_path.glob("checkpoints/*")]
    again = sweep(ladder, tmp_path, executor="ray", ray_address="127.0.0.1:1")  # there is nothing to do
    assert again.already == again.planned == 6


@pytest.mark.slow
def test_jobs_spread_and_end_each_in_its_way(cluster: Any, tmp_path: Path) -> None:
    ways = {"b": "killed", "c": "hangs", "d": "killed once"}
    jobs = [Task(name, tmp_path, ways.get(name, "done")) for name in "abcdefgh"]
    heard = Heard()
    found = run(jobs, tmp_path / "sweep", places(cluster, timeout=20.0), heard)
    assert {name for name, outcome in found.items() if outcome.status == "done"} == set("adefgh")
    reason = "the worker process died, 3 times (killed, or out of memory?); try --memory-per-run"
    assert (found["b"].status, found["b"].error) == ("failed", f"{reason}; see logs/b.log")
    assert (found["c"].status, found["c"].error) == ("timeout", "took longer than --timeout 20 s; see logs/c.log")
    assert (tmp_path / "sweep" / "b lost").read_text() == f"failed: {reason}"
    assert (tmp_path / "sweep" / "c lost").read_text() == "timeout: took longer than --timeout 20 s"
    assert [len(attempts(tmp_path, name)) for name in "abcdefgh"] == [1, 3, 1, 2, 1, 1, 1, 1]
    assert sorted(path.name for path in (tmp_path / "sweep" / "results").iterdir()) == list("adefgh")
    assert set(heard.started_labels) == set("abcdefgh")
    checkpoints = list((tmp_path / "sweep" / "checkpoints").iterdir())
    assert [path.read_text() for path in checkpoints] == ["half half "]  # it went on from its checkpoint
    log = (tmp_path / "sweep" / "logs" / "b.log").read_text()
    assert log.count("b begins") == 3 and reason in log


class Remover(Watcher):
    """Removes a node as soon as something is done."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.node = cluster, cluster.add_node(num_cpus=2)
        self.ended_labels: list[str] = []

    def ended(self, outcome: Outcome) -> None:
        self.ended_labels.append(outcome.job.label)
        if len(self.ended_labels) == 1:
            self.cluster.remove_node(self.node, allow_graceful=False)


@pytest.mark.slow
def test_a_sweep_that_loses_a_node_has_every_row_once_and_the_same_numbers(
    cluster: Any, ladder: Ladder, local: pd.DataFrame, tmp_path: Path
) -> None:
    remover = Remover(cluster)
    assert sweep(ladder, tmp_path, remover, executor="ray", ray_address=cluster.address).outcomes == {"done": 6}
    assert len(remover.ended_labels) == len(set(remover.ended_labels)) == 6 + 4
    pd.testing.assert_frame_equal(scores(tmp_path), local, check_exact=True)


@pytest.mark.slow
def test_a_job_whose_node_is_removed_is_repeated_on_another(cluster: Any, tmp_path: Path) -> None:
    jobs = [Task(name, tmp_path, "waits") for name in "abc"]
    node = cluster.add_node(num_cpus=1)

    def remove() -> None:
        while not all(attempts(tmp_path, name) for name in "abc"):
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)
        (process,) = (there[1] for name in "abc" if (there := attempts(tmp_path, name)[0].split())[0] == node.node_id)
        while Path(f"/proc/{process}").exists():  # it outlives its node a little, and could end its job
            time.sleep(0.1)
        (tmp_path / "go").touch()

    thread = threading.Thread(target=remove, daemon=True)
    thread.start()
    found = run(jobs, tmp_path / "sweep", places(cluster))
    thread.join()
    assert {outcome.status for outcome in found.values()} == {"done"}
    nodes = sorted(([line.split()[0] for line in attempts(tmp_path, name)] for name in "abc"), key=len)
    assert [len(tried) for tried in nodes] == [1, 1, 2]
    assert nodes[2][0] == node.node_id and node.node_id not in (nodes[0] + nodes[1] + nodes[2][1:])
    assert sorted(path.name for path in (tmp_path / "sweep" / "results").iterdir()) == list("abc")


@pytest.mark.slow
def test_want_of_storage_on_a_node_ends_the_sweep(cluster: Any, tmp_path: Path) -> None:
    jobs = [Task("a", tmp_path, "hangs"), Task("b", tmp_path, "full disk"), Task("c", tmp_path, "hangs")]
    with pytest.raises(StorageError, match=r"no space left \(on node .+\)"):
        run(jobs, tmp_path / "sweep", places(cluster))
    assert not (tmp_path / "sweep" / "results").exists()


@pytest.mark.slow
def test_a_bug_in_a_job_ends_the_sweep_with_its_own_error(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        run([Task("a", tmp_path, "breaks"), Task("b", tmp_path, "hangs")], tmp_path / "sweep", places(cluster))


@pytest.mark.slow
def test_a_client_from_elsewhere_has_the_same_done(cluster: Any, tmp_path: Path) -> None:
    jobs = [Task(name, tmp_path, "killed once" if name == "b" else "done") for name in "abc"]
    where = Places(executor="ray", ray_address=f"ray://127.0.0.1:{cluster.client_port}", workers=1)
    heard = Heard()
    found = run(jobs, tmp_path / "sweep", where, heard)
    assert {outcome.status for outcome in found.values()} == {"done"} and set(heard.started_labels) == set("abc")
    assert sorted(path.name for path in (tmp_path / "sweep" / "results").iterdir()) == list("abc")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "asked", "match"),
    [
        ("cuda", {}, "the Ray cluster has no GPU; use --device cpu"),
        ("cpu", {"threads": 3}, "--threads 3: no node of the Ray cluster has more than 1 CPUs"),
        ("cpu", {"memory_per_run": 10**14}, "--memory-per-run 100000000000000: no node"),
    ],
)
def test_a_cluster_that_has_too_little_is_refused(
    cluster: Any, tmp_path: Path, device: str, asked: dict[str, int], match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        list(run_jobs(Bench(device), [Task("a", tmp_path)], tmp_path, places(cluster, **asked)))  # type: ignore[arg-type]
    assert not attempts(tmp_path, "a")


@pytest.mark.slow
def test_runs_share_a_gpu_and_its_processes(cluster: Any, tmp_path: Path) -> None:
    extra = cluster.add_node(num_cpus=4, num_gpus=1)  # for Ray a GPU is a number
    jobs = [Task(name, tmp_path) for name in "abcdef"]
    where = places(cluster, gpus_per_run=0.5)
    list(run_jobs(Bench("cuda:1"), jobs, tmp_path / "sweep", where))  # type: ignore[arg-type]
    cluster.remove_node(extra)
    tried = [attempts(tmp_path, name)[0].split() for name in "abcdef"]
    assert {(node_id, device, gpu) for node_id, _, device, gpu in tried} == {(extra.node_id, "cuda", "0")}
    assert len({process for _, process, _, _ in tried}) <= 2


@pytest.mark.slow
def test_a_node_with_another_version_is_refused(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oodml.executors.ray_crew.Order", partial(Order, version="0.0.1"))
    with pytest.raises(OodmlError, match=r"this node has oodml .+, the driver 0\.0\.1; install the same one"):
        run([Task("a", tmp_path)], tmp_path / "sweep", places(cluster))


@pytest.mark.slow
def test_ctrl_c_ends_the_cluster_of_a_sweep_and_keeps_what_is_done(ladder: Ladder, tmp_path: Path) -> None:
    save_ladder(ladder, tmp_path / "ladder")
    command = [sys.executable, "-m", "oodml", "sweep", str(tmp_path / "ladder"), "--methods", "frozen,margin"]
    command += ["--seeds", "200", "--executor", "ray", "--workers", "1", "--out", str(tmp_path / "sweep")]
    command += ["--steps", "8"]
    env = {**os.environ, "HOME": str(tmp_path)}  # where Ray puts its token
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    while process.poll() is None and len(list(tmp_path.glob("sweep/runs/*.parquet"))) < 3:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on from there" in output, output
    assert "Traceback" not in output and "raylet" not in output
    runs = oodml.read_runs(tmp_path / "sweep")
    assert runs["run_id"].nunique() >= 3 and set(runs["status"]) == {"done"}
    for _ in range(300):  # the processes of the cluster are in its session
        if process.pid not in sessions():
            break
        time.sleep(0.1)
    assert process.pid not in sessions()


def sessions() -> set[int]:
    """The sessions of all processes."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            found.add(os.getsid(int(path.name)))
    return found


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingPackageError, match=r"--executor ray needs the package 'ray'.*pip install 'oodml\[ray\]'"
    ):
        import_ray()


@pytest.mark.parametrize("address", ["head", "ray://", "head:port", ":6379", "local"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"should be auto, ray://HOST:PORT or HOST:PORT"):
        check_address(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_without_a_cluster_is_refused(scheme: str) -> None:
    pytest.importorskip("grpc")
    nobody = f"{scheme}127.0.0.1:{free_port()}"
    with pytest.raises(UsageError, match=f"--ray-address {nobody}: no Ray cluster answers there"):
        check_address(nobody)
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"--ray-address {other}: what answers there is no Ray cluster"):
            check_address(other)


def node(**resources: float) -> dict[str, Any]:
    return {"Alive": True, "Resources": resources}


@pytest.mark.parametrize(
    ("device", "asked", "slots"),
    [
        ("cpu", {}, 6 + 2),
        ("cpu", {"threads": 4}, 1),
        ("cpu", {"memory_per_run": 30}, 3 + 0),
        ("cuda", {}, 2),
        ("cuda", {"gpus_per_run": 0.4}, 2 * 2),
        ("cuda", {"gpus_per_run": 0.25}, 6),
        ("cuda:1", {"gpus_per_run": 2}, 1),
    ],
)
def test_slots_are_what_fits_each_node(device: str, asked: dict[str, Any], slots: int) -> None:
    nodes = [node(CPU=6.0, GPU=2.0, memory=100.0), node(CPU=2.0, memory=20.0), {**node(CPU=99.0), "Alive": False}]
    needs = Needs.of(device, Places(executor="ray", **asked))
    needs.check(nodes)
    assert needs.slots(nodes) == slots


@pytest.mark.parametrize(
    ("device", "asked", "match"),
    [
        ("cuda", {"gpus_per_run": 0}, "a run needs some of a GPU"),
        ("cuda", {"gpus_per_run": 1.5}, "such as 0.5 or 2"),
        ("cuda", {"gpus_per_run": 2}, "--gpus-per-run 2: no node of the Ray cluster has more than 1 GPUs"),
        ("cuda", {"threads": 4}, "none of the 2 nodes of the Ray cluster has all that a run needs"),
    ],
)
def test_what_no_node_has_is_refused(device: str, asked: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Needs.of(device, Places(executor="ray", **asked)).check([node(CPU=1.0, GPU=1.0), node(CPU=4.0)])


def test_files_from_a_node_are_there_as_a_whole_and_logs_grow(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    commit(tmp_path, [("logs/a.log", b"one "), ("runs/a.parquet", b"old")])
    commit(tmp_path, [("logs/a.log", b"two"), ("runs/a.parquet", b"new")])
    assert (tmp_path / "logs" / "a.log").read_bytes() == b"one two"
    assert [path.read_bytes() for path in (tmp_path / "runs").iterdir()] == [b"new"]
    (tmp_path / "models").touch()
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        commit(tmp_path, [("models/a.pt", b""), ("runs/b.parquet", b"")])
    assert not (tmp_path / "runs" / "b.parquet").exists()


def test_the_slurm_script_starts_ray_on_all_nodes_and_the_sweep_with_its_arguments(tmp_path: Path) -> None:
    stubs = {
        "scontrol": 'test "$*" = "show hostnames head,other" && printf "head\\nother\\n"',
        "srun": 'while [ "${1#--}" != "$1" ]; do echo "$1" >>srun.log; shift; done; "$@"',
        "hostname": "echo fe80::1 10.0.0.7",
        "ray": '[ "$1" = get-auth-token ] || printf "%s\\n" "auth=$RAY_AUTH_MODE" "$@"',
    }
    for name, text in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "head,other", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "41007", "USER": "me"}
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **slurm, "SLURM_CPUS_PER_TASK": "8", "SLURM_GPUS_ON_NODE": "4"}
    script = Path(__file__).parent.parent / "examples" / "slurm" / "ray_sweep.sh"
    command = ["bash", str(script), "splits/my photos", "--seeds", "5"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    ray, sweep = done.stdout.split("--\n")
    expected = "auth=token symmetric-run --address 10.0.0.7:6407 --min-nodes 2 --num-cpus=8 --num-gpus=4"
    assert ray.split() == expected.split()
    assert sweep.splitlines()[:5] == ["oodml", "sweep", "splits/my photos", "--seeds", "5"]
    assert sweep.split()[-4:] == ["--executor", "ray", "--ray-address", "auto"]
    head, everywhere = ["--nodes=1", "--ntasks=1", "--nodelist=head"], ["--nodes=2", "--ntasks=2"]
    assert (tmp_path / "srun.log").read_text().split() == head + everywhere


def test_scratch_folders_go_with_their_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from oodml.executors.ray_scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder: (folder / 'a').touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob("*/a"))) == 1
    with scratch_folder(tmp_path) as one:
        (one / "b").touch()
        assert not list(tmp_path.glob("*/a"))
        with scratch_folder(tmp_path) as other:
            assert other != one and (one / "b").exists() and not list(other.iterdir())
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Writer:
    """A job that leaves a file of every kind."""

    name: str = "a"
    label: str = "a"

    def run(self, bench: Any, sweep: Path) -> Outcome:
        for name in ("runs/a.parquet", "checkpoints/a.pt", "models/a.pt", "runs/.b.oodml-tmp"):
            (sweep / name).parent.mkdir(exist_ok=True)
            (sweep / name).write_text(name)
        sys.stdout.write("something")
        return Outcome(self, "done", "", 0.0)

    def record_loss(self, bench: Any, sweep: Path, status: str, error: str) -> None:
        raise AssertionError("nothing was lost")


@pytest.mark.parametrize("shared", [True, False])
def test_a_node_sends_back_what_is_not_in_a_folder_that_it_shares(tmp_path: Path, shared: bool) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / SEEN_BY).write_text("this sweep")
    order = Order(Bench(), 1, tmp_path, tmp_path, "this sweep" if shared else "another")  # type: ignore[arg-type]
    delivery = _work(order, Writer(), {})
    files = dict(delivery.files)
    log = tmp_path / "logs" / "a.log"
    assert list(files) == [*([] if shared else ["logs/a.log"]), "models/a.pt", "runs/a.parquet"]
    assert b"something" in (log.read_bytes() if shared else files["logs/a.log"])
    assert (tmp_path / "checkpoints" / "a.pt").exists() == log.exists() == shared
    assert not (tmp_path / "runs").exists()


def test_what_ray_gives_up_is_told_in_words() -> None:
    def raised(name: str, text: str = "") -> str:
        return reason_of(type(name, (Exception,), {})(text))

    assert raised("OutOfMemoryError").startswith("its node ran out of memory, 3 times")
    assert raised("NodeDiedError") == "the node that it ran on died, 3 times"
    assert raised("RuntimeEnvSetupError", "no disk\nmore") == "Ray gave it up: RuntimeEnvSetupError: no disk"


def test_a_node_without_the_package_is_told_from_a_bug() -> None:
    text = "RuntimeError: The remote function failed to import on the worker.\nModuleNotFoundError: No module named"
    check_installation(RuntimeError(f"{text} 'numpy'"))
    with pytest.raises(UsageError, match=r"no oodml, or an older one; on every node run: pip install 'oodml\[ray\]'"):
        check_installation(RuntimeError(f"{text} 'oodml.executors.ray_task'"))

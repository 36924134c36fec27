"""Who runs the notebooks of a cohort: workers of dask.distributed, inside this process or on a cluster.

A worker gets a rebuilt notebook and the references and gives back verdicts. It needs no file of this machine, and it
writes none that stays: the grader that started it keeps all records. So one path serves one machine and many.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import dask
from distributed import Client, LocalCluster, as_completed

from lazy_course.grading import runner, sandbox
from lazy_course.grading.errors import GradingError
from lazy_course.grading.sandbox import Bubblewrap

PATIENCE = 10.0  # seconds to wait for a scheduler

# Nobody looks at the logs and profiles that Dask keeps of itself; their entries hold whole jobs.
_PLAIN = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 10,
    "distributed.admin.low-level-log-length": 10,
    "distributed.admin.system-monitor.log-length": 10,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.diagnostics.erred-tasks.max-history": 1,
}

Verdicts = tuple[list[dict[str, Any]], str]


@contextlib.contextmanager
def crew(workers: int, scheduler: str | None, isolation: str) -> Iterator[Client]:
    """A client of `workers` workers in this process, or of the cluster whose scheduler is at an address.

    GradingError if nothing answers at the address, if no worker is there, or if a worker's machine has no sandbox.
    """
    if scheduler is None:
        # Each worker only waits for a process of its own, so threads do.
        with (
            dask.config.set(_PLAIN),
            LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise GradingError(
            f"no scheduler answers at {scheduler} ({type(error).__name__}); start one with `dask scheduler`, workers "
            "with `dask worker ADDRESS --nthreads 1`, and give its address such as tcp://10.0.0.1:8786"
        ) from error
    with client:
        _demand_ready(client, scheduler, isolation)
        yield client


def _demand_ready(client: Client, scheduler: str, isolation: str) -> None:
    workers = client.scheduler_info()["workers"]
    if not workers:
        raise GradingError(f"the scheduler at {scheduler} has no worker; start some with `dask worker {scheduler}`")
    if isolation == Bubblewrap.name:
        for worker, reason in client.run(sandbox.trouble).items():
            if reason:
                raise GradingError(f"worker {worker}: {reason}")


def run_all(client: Client, jobs: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, Verdicts]]:
    """Run each job (keywords of `runner.run`) and yield its number with its verdicts as they come in."""
    numbers = {client.submit(runner.run, **job, pure=False, retries=1): number for number, job in jobs}
    for future in as_completed(numbers):
        if future.status == "finished":
            lines, trouble, _ = future.result()
        else:
            lines, trouble = [], f"the worker was lost ({type(future.exception()).__name__})"
        yield numbers[future], (lines, trouble)
        future.release()

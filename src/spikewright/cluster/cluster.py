"""The workers of a Dask cluster: found, checked, given parts, and asked for results in the order of the parts."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from importlib.metadata import version
from logging import CRITICAL
from multiprocessing import current_process
from typing import TYPE_CHECKING, Any

from spikewright.cluster.workers import facts, opened
from spikewright.errors import ClusterError, SettingsError, SpikewrightError, warn
from spikewright.parts.machine import unlike
from spikewright.text import first_line, one_line

if TYPE_CHECKING:
    from distributed import Client, Future

ClusterChoice = Any
"""``"tcp://HOST:PORT"``, ``"local:4"`` (workers on this machine), a ``distributed.Client``, or a ``Cluster``."""
AHEAD = 2
"""Parts that are with each worker, the one that runs among them: samples of more would wait at the scheduler."""
THREADS = {"MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""What workers on this machine begin with beside their number of threads, those that begin anew too."""
OWN = ("OMP_NUM_THREADS", "SPIKEWRIGHT_THREADS")
"""Where that number stands, for torch and for the native engine: workers share the cores of a machine."""
SECONDS = 20
"""How long a scheduler is waited for."""
DESERTED = 120
"""After so many seconds without any worker nobody is waited for any more."""
GUARD = "if __name__ == '__main__':"
"""What keeps a worker, which runs a script from its top first of all, from starting workers itself."""


@contextmanager
def cluster_of(choice: ClusterChoice) -> Iterator[Cluster]:
    """The workers that were asked for; those that were started for it end with the block.

    Raises:
        SettingsError: for text that is neither, and where there is no distributed.
        ClusterError: where nobody answers, or the workers cannot run this.
    """
    if isinstance(choice, Cluster):
        yield choice
        return
    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError:
        raise SettingsError("a cluster needs dask.distributed: pip install spikewright[dask]") from None
    if isinstance(choice, Client):
        yield Cluster(choice)
        return
    text = str(choice)
    kind, _, count = text.partition(":")
    if kind == "local":
        if not (count.isdecimal() and 0 < int(count) <= 1024):
            raise SettingsError(f"cluster: local takes a number of workers, local:4, not '{one_line(text, 60)}'")
        if getattr(current_process(), "_inheriting", False):  # as multiprocessing tells it
            raise SystemExit(f"a worker came to where workers are started: put that below {GUARD} in the script")
        threads = str(max(1, (os.cpu_count() or 1) // int(count)))
        own = {**THREADS, **dict.fromkeys(OWN, threads)}
        with ExitStack() as stack:
            stack.enter_context(_quiet())
            stack.enter_context(config.set({"distributed.nanny.pre-spawn-environ": own}))
            try:
                local = LocalCluster(
                    n_workers=int(count),
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    host="127.0.0.1",
                    silence_logs=CRITICAL,
                )
                client = stack.enter_context(Client(stack.enter_context(local)))
            except (TimeoutError, RuntimeError, OSError) as error:
                raise ClusterError(
                    f"workers on this machine did not start ({first_line(error)}): ask for fewer, or try again; a "
                    f"script must start them below {GUARD}"
                ) from error
            yield Cluster(client)
        return
    if "://" not in text:
        raise SettingsError(
            f"cluster: give the address of a scheduler, tcp://HOST:8786, or local:4, not '{one_line(text, 60)}'"
        )
    try:
        client = Client(text, timeout=SECONDS)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ClusterError(f"no scheduler answers at {one_line(text, 80)} ({first_line(error)})") from error
    with _quiet():
        try:
            yield Cluster(client)
        finally:
            with suppress(Exception):  # it may be gone
                client.close(timeout=2)


def workers_of(choice: ClusterChoice | None) -> AbstractContextManager[Cluster | None]:
    """The same, or None where none are asked for: then all runs here.

    Raises:
        SpikewrightError: as ``cluster_of``.
    """
    return nullcontext() if choice is None else cluster_of(choice)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the many lines that the library logs when a worker or a scheduler goes."""
    import logging

    own = (
        "",
        ".client",
        ".scheduler",
        ".nanny",
        ".worker",
        ".core",
        ".comm",
        ".batched",
    )  # each has a level of its own
    names = (*(f"distributed{name}" for name in own), "tornado.application", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class Cluster:
    """Workers that run the parts of runs.

    Args:
        client: of the scheduler.

    Raises:
        ClusterError: where there are no workers, or workers of another version of Spikewright.

    Warns:
        SpikewrightWarning: where workers differ in what the last digits of numbers depend on.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.address = str(getattr(client.scheduler, "address", "the scheduler"))
        with self._named():
            with suppress(TimeoutError):
                client.wait_for_workers(1, timeout=SECONDS)
            try:
                told = client.run(facts, on_error="return")
            except ModuleNotFoundError as error:
                raise ClusterError(f"the workers of {self.address} lack spikewright ({first_line(error)})") from error
        if not told:
            raise ClusterError(f"the cluster at {self.address} has no workers")
        own = version("spikewright")
        for worker, one in told.items():
            if not isinstance(one, dict):
                raise ClusterError(f"worker {worker} cannot run spikewright ({first_line(one)}): install it there")
            if one["spikewright"] != own:
                raise ClusterError(
                    f"worker {worker} has spikewright {one['spikewright']}, here is {own}: install the same on both"
                )
        first = next(iter(told.values()))
        others = list(dict.fromkeys(text for one in told.values() if (text := unlike(first, one))))
        if others:
            warn([f"the workers differ ({others[0]}): the last digits of numbers may depend on which runs what"])
        self.workers = len(told)

    def each(
        self,
        function: Callable[..., Any],
        shared: Any,
        parts: Sequence[Callable[[], tuple[Any, ...]]],
        done: Callable[[int], None] | None = None,
    ) -> Iterator[Any]:
        """What a function gives for each part, in their order, whichever are ready first.

        Args:
            function: of a module, called with ``shared`` and what a part gives.
            shared: sent once to each worker, by the digest of it.
            parts: give the arguments, only when a worker is about to be free: samples of all at once would be many.
            done: called with the number of a part when it is done.

        Raises:
            SpikewrightError: as the function, for the first part of all that fail.
            ClusterError: where the scheduler is gone, all workers are, or a part ended one worker after the other.
        """
        from distributed import as_completed

        packed = pickle.dumps(shared)
        key = f"spikewright-{hashlib.sha256(packed).hexdigest()[:32]}"
        waiting = list(range(len(parts)))[::-1]
        running: dict[Future, int] = {}
        ready: dict[int, Any] = {}
        nextone = 0
        with self._named(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            common = self.client.submit(opened, packed, key=key)
            completed = as_completed()
            try:
                while waiting or running:
                    while waiting and len(running) < AHEAD * max(1, self.workers):
                        number = waiting.pop()
                        future = self.client.submit(function, common, *parts[number](), pure=False, retries=2)
                        running[future] = number
                        completed.add(future)
                    self._wait(running)
                    future = next(completed)
                    number = running.pop(future)
                    if future.status == "cancelled":
                        raise ClusterError(f"the cluster at {self.address} is gone")
                    error = future.exception()
                    ready[number] = future.result() if error is None else error
                    future.release()
                    if error is not None:  # told where those before it are done, so that it is always the first one
                        waiting.clear()
                    elif done is not None:
                        done(number)
                    while nextone in ready:
                        result = ready.pop(nextone)
                        if isinstance(result, BaseException):
                            raise result
                        yield result
                        nextone += 1
            finally:
                for future in [*running, common]:
                    with suppress(Exception):  # the scheduler may be gone
                        future.cancel()

    def _wait(self, running: Collection[Future]) -> None:
        """Wait for one of the futures, as long as there are workers.

        Raises:
            ClusterError: where there have been none for some time.
        """
        from distributed import wait

        while True:
            try:
                wait(list(running), timeout=DESERTED, return_when="FIRST_COMPLETED")
                return
            except TimeoutError:
                if not self.client.scheduler_info()["workers"]:
                    raise ClusterError(
                        f"the cluster at {self.address} has lost all its workers: start some and run it again"
                    ) from None

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of the cluster as one line."""
        try:
            yield
        except (SpikewrightError, GeneratorExit, KeyboardInterrupt, MemoryError):
            raise
        except Exception as error:
            module = type(error).__module__.partition(".")[0]
            if type(error).__name__ == "KilledWorker":
                raise ClusterError(
                    f"a part of the run ended one worker of {self.address} after the other, most likely for want of "
                    "memory: give workers more of it, or a smaller batch size"
                ) from error
            if module in ("distributed", "tornado", "asyncio", "concurrent") or isinstance(error, OSError):
                raise ClusterError(f"the cluster at {self.address} is gone ({first_line(error)})") from error
            raise

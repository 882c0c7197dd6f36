"""Work on threads that is done before its results are asked for: pictures that are decoded while a network runs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_THREADS = 8


def in_advance(function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """The results for some items, in their order, found on threads.

    Args:
        function: what is done with each; several at the same time.
        items: taken from no sooner than they are needed.
        ahead: how many results may wait to be asked for.
    """
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1))
    pool = ThreadPoolExecutor(threads, "spikewright-data")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > max(ahead, threads):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

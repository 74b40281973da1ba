"""Read the slices of several accounts at once, and group what is to be published, so that small slices share statements."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Final, TypeVar

Work = TypeVar("Work")
Read = TypeVar("Read")

ACCOUNTS_AT_ONCE: Final = 4
"""Accounts that one run reads at the same time. Each waits for its provider most of the time, and holds some MB of line items."""
GROUP: Final = 50
"""Most slices that are published together: beyond that, what they share is no longer what they cost."""
GROUP_BYTES: Final = 64 * 2**20
"""Bytes of held line items from which on a group is published, whatever its number."""
PATIENCE: Final = 2.0
"""Seconds that a slice which was read waits for others: somebody may be looking at the page."""
LEAVING: Final = 10.0
"""Seconds that readers get to end when the run ends; who waits for a provider longer is left behind, and ends with the process."""


class Stopped(Exception):
    """The run ends: what is being read is not needed any more."""


def read_by_account(
    work: Sequence[Work], account_of: Callable[[Work], str], read: Callable[[Work, Callable[[], None]], Read]
) -> Generator[Read | None, None, None]:
    """Yield ``read(one, check)`` for all of `work` as it comes, up to `ACCOUNTS_AT_ONCE` accounts at the same time, each in its order.

    Yields None whenever nothing has come for a quarter of `PATIENCE`. `check` raises `Stopped` if this generator is closed before its end;
    `read` calls it now and then. Errors of `read` are raised here. One piece of work is done in the caller's thread.
    """
    if len(work) == 1:
        yield read(work[0], lambda: None)
        return
    accounts = defaultdict[str, list[Work]](list)
    for one in work:
        accounts[account_of(one)].append(one)
    waiting = deque(accounts.values())
    stopped = threading.Event()
    results: queue.Queue[Read | BaseException] = queue.Queue()

    def check() -> None:
        if stopped.is_set():
            raise Stopped

    def reader() -> None:
        try:
            while slices := _next(waiting):
                for one in slices:
                    check()
                    results.put(read(one, check))
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            results.put(error)

    count = min(ACCOUNTS_AT_ONCE, len(accounts))
    readers = [threading.Thread(target=reader, name="reader", daemon=True) for _ in range(count)]
    try:
        for one_reader in readers:
            one_reader.start()
        yield from _received(results, len(work))
    except BaseException:
        stopped.set()
        raise
    finally:
        for one_reader in readers:
            one_reader.join(LEAVING / count)


def _next(waiting: deque[list[Work]]) -> list[Work]:
    try:
        return waiting.popleft()
    except IndexError:
        return []


def _received(results: queue.Queue[Read | BaseException], number: int) -> Iterator[Read | None]:
    while number:
        try:
            result = results.get(timeout=PATIENCE / 4)
        except queue.Empty:
            yield None
            continue
        if isinstance(result, BaseException):
            raise result
        number -= 1
        yield result


def grouped(reads: Generator[Read | None, None, None], size_of: Callable[[Read], int | None]) -> Iterator[list[Read]]:
    """Group `reads`: yield a list when it is long, large or old enough, and at the end. The last list may be empty.

    Args:
        reads: what was read; None where nothing came for a while.
        size_of: bytes that one holds; None if it needs no company: it is yielded at once, alone.
    """
    group: list[Read] = []
    size, since = 0, time.monotonic()
    with closing(reads):
        for one in reads:
            held = None if one is None else size_of(one)
            if one is not None and held is None:
                yield [one]
            elif one is not None:
                since = since if group else time.monotonic()
                group.append(one)
                size += held or 0
            if group and (len(group) >= GROUP or size >= GROUP_BYTES or time.monotonic() - since >= PATIENCE):
                yield group
                group, size = [], 0
    yield group

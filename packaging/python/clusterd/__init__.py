"""The shared store of clusterd: counters and a key-value table that all workers share at memory speed.

    import clusterd

    hits = clusterd.counter("hits")
    hits.add()                                   # 1, 2, 3 … over all workers in all languages
    clusterd.table["greeting"] = "hello"
    clusterd.table.set("session:42", b"…", ttl=3600)

    channel = clusterd.channel()                 # messages: JSON to other workers, in any language
    channel.send("api.2", {"n": 1})
    channel.request("adder", [1, 2], timeout=5)

It works in a program that clusterd runs, and goes on by itself in forked children, so a server that forks its workers
(gunicorn, uwsgi) may open what it needs before or after. Elsewhere the first use raises NoStoreError.
"""

from __future__ import annotations

from ctypes import byref, c_uint32, c_void_p, sizeof
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Union

from . import _errors, _library
from ._async_channel import AsyncChannel
from ._channel import Channel, Message, channel
from ._counter import Counter, StripedCounter, open_counter
from ._errors import (
    AddressError,
    AttachError,
    ChannelClosedError,
    ChannelError,
    CorruptStoreError,
    CounterNameError,
    CountersFullError,
    Error,
    KeyExistsError,
    KeyMissingError,
    KeySizeError,
    LayoutVersionError,
    NoChannelError,
    NoPlaceError,
    NoStoreError,
    NotTheStoreError,
    NumberRangeError,
    OpenError,
    ReadOnlyError,
    RequestError,
    RequestTimeoutError,
    StaleTokenError,
    StoreFullError,
    ValueSizeError,
    WrongTypeError,
)
from ._library import MAX_COUNTER_NAME, MAX_KEY_BYTES, MAX_VALUE_BYTES
from ._table import Entry, Table
from ._version import __version__

__all__ = [
    "AddressError",
    "AsyncChannel",
    "AttachError",
    "Channel",
    "ChannelClosedError",
    "ChannelError",
    "CorruptStoreError",
    "Counter",
    "CounterNameError",
    "CounterState",
    "CountersFullError",
    "Entry",
    "Error",
    "KeyExistsError",
    "KeyMissingError",
    "KeySizeError",
    "LayoutVersionError",
    "MAX_COUNTER_NAME",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "Message",
    "NoChannelError",
    "NoPlaceError",
    "NoStoreError",
    "NotTheStoreError",
    "NumberRangeError",
    "OpenError",
    "ReadOnlyError",
    "RequestError",
    "RequestTimeoutError",
    "StaleTokenError",
    "Stats",
    "Store",
    "StoreFullError",
    "StripedCounter",
    "Table",
    "ValueSizeError",
    "WrongTypeError",
    "channel",
    "counter",
    "store",
    "striped_counter",
    "table",
]


class CounterState(NamedTuple):
    name: str
    striped: bool
    value: int


class ClassStats(NamedTuple):
    block_bytes: int
    used_blocks: int
    free_blocks: int


class Stats(NamedTuple):
    segment_bytes: int
    generation: int
    keys: int
    bytes: int
    counters: int
    counters_limit: int
    participants: int
    participants_limit: int
    unassigned_bytes: int
    settled_participants: int
    settled_blocks: int
    classes: List[ClassStats]


class Store:
    """The store of this worker. One for the process is enough: see `store()`. Mapped until the process ends."""

    def __init__(self, read_only: bool = False) -> None:
        handle = c_void_p()
        code = _library.store_open(_library.READ_ONLY if read_only else 0, byref(handle))
        if code != 0:
            raise _library.failure(code, _errors.OPEN)
        assert handle.value is not None
        self._handle = handle.value
        self._counters: Dict[str, Union[Counter, StripedCounter]] = {}
        self.table = Table(self._handle)

    def counter(self, name: str) -> Counter:
        """The counter of that name, made with the value 0 if there is none."""
        known = self._counters.get(name)
        if isinstance(known, Counter):
            return known
        made = Counter(open_counter(self._handle, name, _library.ATOMIC), name)
        self._counters[name] = made
        return made

    def striped_counter(self, name: str) -> StripedCounter:
        """The same for one of the kind that is fastest to add to."""
        known = self._counters.get(name)
        if isinstance(known, StripedCounter):
            return known
        made = StripedCounter(open_counter(self._handle, name, _library.STRIPED), name)
        self._counters[name] = made
        return made

    def counters(self) -> Iterator[CounterState]:
        """All counters with their values."""
        at, item = c_uint32(0), _library.CounterItem()
        while _library.counter_next(self._handle, byref(at), byref(item)) == 1:
            yield CounterState(item.name.decode(), item.kind == _library.STRIPED, item.value)

    def stats(self) -> Stats:
        """What is in the store, counted by looking at all of it (about 10 ms for 64 MiB)."""
        raw = _library.Stats()
        code = _library.store_stats(self._handle, byref(raw), sizeof(raw))
        if code != 0:
            raise _library.failure(code, _errors.ANY)
        classes = [ClassStats(each.block_bytes, each.used_blocks, each.free_blocks) for each in raw.classes]
        numbers = [getattr(raw, name) for name, *_ in _library.Stats._fields_ if name != "classes"]
        return Stats(*numbers, classes=classes)

    def join(self) -> None:
        """Takes this thread's place for writing now, so that no later change of this thread raises NoPlaceError."""
        code = _library.store_join(self._handle)
        if code != 0:
            raise _library.failure(code, _errors.ANY)

    def leave(self) -> None:
        """Gives the place back before the thread ends. The next change takes one again."""
        _library.store_leave(self._handle)


_store: Optional[Store] = None


def store() -> Store:
    """The store of this process, opened at the first call."""
    global _store
    if _store is None:
        _store = Store()
    return _store


def counter(name: str) -> Counter:
    return store().counter(name)


def striped_counter(name: str) -> StripedCounter:
    return store().striped_counter(name)


table: Table


def __getattr__(name: str) -> Any:
    # `clusterd.table` opens the store, which importing must not do.
    if name == "table":
        return store().table
    raise AttributeError(f"module 'clusterd' has no attribute {name!r}")

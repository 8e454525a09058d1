"""The key-value table, as a mapping."""

from __future__ import annotations

import math
from ctypes import addressof, byref, c_int64, c_uint64, create_string_buffer, sizeof, string_at
from datetime import timedelta
from errno import ENOENT, ERANGE
from typing import Any, Callable, Iterator, List, MutableMapping, NamedTuple, Optional, Tuple, TypeVar, Union

from . import _errors, _library
from ._calls import checked as _checked
from ._calls import table_get, table_set

Key = Union[str, bytes, bytearray, memoryview]
Data = Union[str, bytes, bytearray, memoryview]
Ttl = Union[None, int, float, timedelta]
Default = TypeVar("Default")
_RAISE: Any = object()


class Entry(NamedTuple):
    """A value with its token (for `cas`) and the seconds that it still lives (None: for ever)."""

    value: bytes
    token: int
    ttl: Optional[float]


def _bytes(data: Union[str, bytes, bytearray, memoryview]) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode("utf-8")
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"keys and values are str or bytes, not {type(data).__name__}")


def _ms(ttl: Ttl) -> int:
    if ttl is None:
        return 0
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not seconds > 0:
        raise ValueError(f"a time to live must be above 0 seconds, not {ttl!r}")
    return min(max(math.ceil(min(seconds, 1e15) * 1000), 1), (1 << 63) - 1)


class _Scratch:
    """Memory that a call fills. One is taken for a call and given back after it, so that neither another thread nor a
    signal handler in between finds it in use."""

    __slots__ = ("buffer", "address", "capacity", "value", "value_address")

    def __init__(self, capacity: int) -> None:
        self.buffer = create_string_buffer(capacity)
        self.address = addressof(self.buffer)
        self.capacity = capacity
        self.value = _library.Value()
        self.value_address = addressof(self.value)


_scratches: List[_Scratch] = []
_SMALL = 16384


def _take(need: int = _SMALL) -> _Scratch:
    try:
        scratch = _scratches.pop()
    except IndexError:
        return _Scratch(max(need, _SMALL))
    return scratch if scratch.capacity >= need else _Scratch(need)


def _give_back(scratch: _Scratch) -> None:
    if scratch.capacity == _SMALL and len(_scratches) < 16:
        _scratches.append(scratch)


def _entry(scratch: _Scratch) -> Entry:
    value = scratch.value
    ttl = value.ttl_ms / 1000 if value.ttl_ms != 0 else None
    return Entry(string_at(scratch.address, value.size), value.token, ttl)


class Table(MutableMapping[bytes, bytes]):
    """Keys of 1 to 1024 bytes, values up to 523,232. A str is taken as its UTF-8; what comes back is bytes. Every method
    about one key is one step that no other can come into, but for what a mapping makes of several (update, popitem)."""

    __slots__ = ("_store",)

    def __init__(self, store: int) -> None:
        self._store = store

    def _read(self, function: Callable[..., int], key: Key) -> Optional[Entry]:
        name = _bytes(key)
        scratch = _take()
        while True:
            code = function(
                self._store, name, len(name), scratch.address, scratch.capacity, scratch.value_address
            )
            if code != -ERANGE:
                break
            scratch = _take(scratch.value.size)
        try:
            if code == 0:
                return _entry(scratch)
        finally:
            _give_back(scratch)
        if code == -ENOENT:
            return None
        raise _library.failure(code, _errors.TABLE)

    def _write(self, function: Callable[..., int], key: Key, value: Data, ttl: Ttl, token: int = 0) -> int:
        name, data = _bytes(key), _bytes(value)
        named = c_uint64(token)
        code = function(self._store, name, len(name), data, len(data), _ms(ttl), byref(named))
        if code != 0:
            raise _library.failure(code, _errors.TABLE)
        return named.value

    @staticmethod
    def _missing(key: Key) -> _errors.KeyMissingError:
        return _errors.KeyMissingError(f"no such key: {key!r}", ENOENT)

    # What a mapping has.

    def __getitem__(self, key: Key) -> bytes:
        value = self.get(key)
        if value is None:
            raise self._missing(key)
        return value  # type: ignore[no-any-return]

    def get(self, key: Key, default: Any = None) -> Any:
        value = table_get(self._store, key)
        if value is NotImplemented:
            found = self._read(_library.table_get, key)
            value = None if found is None else found.value
        return default if value is None else value

    def __setitem__(self, key: Key, value: Data) -> None:
        self.set(key, value)

    def __delitem__(self, key: Key) -> None:
        if not self.delete(key):
            raise self._missing(key)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, (str, bytes, bytearray, memoryview)):
            return False
        name = _bytes(key)
        code = _library.table_get(self._store, name, len(name), None, 0, None)
        if code not in (0, -ENOENT):
            raise _library.failure(code, _errors.TABLE)
        return bool(code == 0)

    def __len__(self) -> int:
        """Counts by looking at all of the table, and sees what has expired and is not swept yet too."""
        stats = _library.Stats()
        code = _library.store_stats(self._store, byref(stats), sizeof(stats))
        if code != 0:
            raise _library.failure(code, _errors.TABLE)
        return int(stats.keys)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def _items(self, with_values: bool) -> Iterator[Tuple[bytes, bytes]]:
        cursor, item = _library.Cursor(), _library.Item()
        key = create_string_buffer(_library.MAX_KEY_BYTES)
        value = create_string_buffer(_library.MAX_VALUE_BYTES + _library.MAX_KEY_BYTES) if with_values else None
        capacity = sizeof(value) if value is not None else 0
        while True:
            code = _library.table_next(self._store, byref(cursor), key, sizeof(key), value, capacity, byref(item))
            if code == 0:
                return
            if code < 0:
                raise _library.failure(code, _errors.TABLE)
            data = string_at(value, item.value.size) if value is not None else b""
            yield string_at(key, item.key_size), data

    def __iter__(self) -> Iterator[bytes]:
        """Keys in no order. One that is there all the time comes once; one that comes, goes or changes may."""
        return (key for key, _ in self._items(False))

    def items(self) -> Iterator[Tuple[bytes, bytes]]:  # type: ignore[override]
        """Pairs as they are when they are reached; a walk through shared memory, not a view that can be asked again."""
        return self._items(True)

    def values(self) -> Iterator[bytes]:  # type: ignore[override]
        return (value for _, value in self._items(True))

    def pop(self, key: Key, default: Any = _RAISE) -> Any:
        """Removes the key and returns its value, in one step."""
        found = self._read(_library.table_getdel, key)
        if found is not None:
            return found.value
        if default is _RAISE:
            raise self._missing(key)
        return default

    def popitem(self) -> Tuple[bytes, bytes]:
        for key in self:
            value = self.pop(key, None)
            if value is not None:
                return key, value
        raise _errors.KeyMissingError("the table is empty", ENOENT)

    def setdefault(self, key: Key, default: Data = b"") -> bytes:  # type: ignore[override]
        while True:
            found = self._read(_library.table_get, key)
            if found is not None:
                return found.value
            try:
                self.add(key, default)
                return _bytes(default)
            except _errors.KeyExistsError:
                pass  # somebody was faster

    def clear(self) -> None:
        for key in self:
            self.delete(key)

    # What it has beyond.

    def set(self, key: Key, value: Data, ttl: Ttl = None) -> int:
        """Writes the key, to live for `ttl` seconds (None: for ever). Returns the token of the new value."""
        token = table_set(self._store, key, value, _ms(ttl))
        if token is NotImplemented:
            token = self._write(_library.table_set, key, value, ttl)
        return token  # type: ignore[no-any-return]

    def add(self, key: Key, value: Data, ttl: Ttl = None) -> int:
        """Only where the key is not there, else KeyExistsError."""
        return self._write(_library.table_add, key, value, ttl)

    def replace(self, key: Key, value: Data, ttl: Ttl = None) -> int:
        """Only where it is, else KeyMissingError."""
        return self._write(_library.table_replace, key, value, ttl)

    def cas(self, key: Key, value: Data, token: int, ttl: Ttl = None) -> int:
        """Only where the key still has the value that the token names, else StaleTokenError or KeyMissingError."""
        return self._write(_library.table_cas, key, value, ttl, token)

    def entry(self, key: Key) -> Optional[Entry]:
        """The value with its token and time to live; None when there is none."""
        return self._read(_library.table_get, key)

    def getdel(self, key: Key, default: Optional[Default] = None) -> Union[bytes, Default, None]:
        """As pop, but without an error."""
        return self.pop(key, default)  # type: ignore[no-any-return]

    def delete(self, key: Key) -> bool:
        """Whether it was there."""
        name = _bytes(key)
        code = _library.table_delete(self._store, name, len(name))
        if code not in (0, -ENOENT):
            raise _library.failure(code, _errors.TABLE)
        return bool(code == 0)

    def incr(self, key: Key, delta: int = 1) -> int:
        """Adds to a value that is a decimal number as text; a key that is not there counts as 0. Returns the new number."""
        name = _bytes(key)
        number = c_int64()
        code = _library.table_incr(self._store, name, len(name), _checked(delta), byref(number))
        if code != 0:
            raise _library.failure(code, _errors.TABLE)
        return number.value

    def decr(self, key: Key, delta: int = 1) -> int:
        return self.incr(key, -delta)

    def __repr__(self) -> str:
        return "<clusterd.Table>"

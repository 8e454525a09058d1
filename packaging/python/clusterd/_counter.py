"""Counters."""

from __future__ import annotations

from ctypes import byref, c_int64, c_void_p
from typing import Tuple

from . import _errors, _library
from ._calls import CounterCalls
from ._calls import checked as _checked


def open_counter(store: int, name: str, kind: int) -> int:
    """The handle of a counter."""
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError as reason:
        raise _errors.CounterNameError(f"a counter's name must be UTF-8: {reason}") from None
    if b"\0" in encoded:
        raise _errors.CounterNameError("a counter's name must have no zero byte")
    handle = c_void_p()
    code = _library.counter_open(store, encoded, kind, byref(handle))
    if code != 0:
        raise _library.failure(code, _errors.COUNTER)
    assert handle.value is not None
    return handle.value


class Counter(CounterCalls):
    """A number of 64 bits with a sign that all workers share; it wraps around. Every method is one step that no other
    can come into. It goes on by itself in a forked child.

    `add(amount=1)` adds and returns the new value; `get()` is what it is now.
    """

    __slots__ = ("name",)

    def __init__(self, handle: int, name: str) -> None:
        super().__init__(handle, False)
        self.name = name

    def set(self, value: int) -> None:
        code = _library.counter_set(self._handle, _checked(value))
        if code != 0:
            raise _library.failure(code, _errors.COUNTER)

    value = property(CounterCalls.get, set, doc="What it is now. For counting use add: `value += 1` loses what others do meanwhile.")

    def exchange(self, value: int) -> int:
        """Sets it and returns what it was."""
        before = c_int64()
        code = _library.counter_exchange(self._handle, _checked(value), byref(before))
        if code != 0:
            raise _library.failure(code, _errors.COUNTER)
        return before.value

    def compare_exchange(self, expected: int, desired: int) -> Tuple[bool, int]:
        """Sets it to `desired` if it is `expected`. Returns whether it was, and what it was."""
        seen = c_int64(_checked(expected))
        code = _library.counter_compare_exchange(self._handle, byref(seen), _checked(desired))
        if code < 0:
            raise _library.failure(code, _errors.COUNTER)
        return code == 1, seen.value

    def __iadd__(self, amount: int) -> "Counter":
        self.add(amount)
        return self

    def __isub__(self, amount: int) -> "Counter":
        self.add(-amount)
        return self

    def __int__(self) -> int:
        return self.get()

    def __repr__(self) -> str:
        return f"<clusterd.Counter {self.name!r} = {self.get()}>"


class StripedCounter(CounterCalls):
    """A counter for much counting by many: every thread adds to a cell of its own, and reading sums them.

    `add(amount=1)` returns nothing; `get()` is the sum, which misses no addition that had ended before.
    """

    __slots__ = ("name",)

    def __init__(self, handle: int, name: str) -> None:
        super().__init__(handle, True)
        self.name = name

    value = property(CounterCalls.get)

    def __iadd__(self, amount: int) -> "StripedCounter":
        self.add(amount)
        return self

    def __int__(self) -> int:
        return self.get()

    def __repr__(self) -> str:
        return f"<clusterd.StripedCounter {self.name!r} = {self.get()}>"

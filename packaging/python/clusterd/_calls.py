"""What is called most: by the extension `_fast` where it is there, else by ctypes."""

from __future__ import annotations

from ctypes import byref, c_int64, c_void_p, cast
from typing import Any, NoReturn

from . import _errors, _library

_MIN, _MAX = -(1 << 63), (1 << 63) - 1


def _fail(code: int) -> NoReturn:
    raise _library.failure(code, _errors.COUNTER)


def _fail_table(code: int) -> NoReturn:
    raise _library.failure(code, _errors.TABLE)


def _too_large(number: int) -> NoReturn:
    raise _errors.NumberRangeError(f"{number} does not fit 64 bits")


def checked(number: int) -> int:
    # ctypes would cut it to 64 bits without a word.
    if not _MIN <= number <= _MAX:
        _too_large(number)
    return number


class CounterCalls:
    """By ctypes."""

    __slots__ = ("_handle", "_striped")

    def __init__(self, handle: int, striped: bool) -> None:
        self._handle = handle
        self._striped = striped

    def add(self, amount: int = 1) -> Any:
        value = None if self._striped else c_int64()
        code = _library.counter_add(self._handle, checked(amount), None if value is None else byref(value))
        if code != 0:
            _fail(code)
        return None if value is None else value.value

    def get(self) -> int:
        return int(_library.counter_get(self._handle))


def _address(function: Any) -> int:
    return int(cast(function, c_void_p).value or 0)


def table_get(store: int, key: Any) -> Any:
    """The value, None when there is none, NotImplemented for what is to go the long way."""
    return NotImplemented


def table_set(store: int, key: Any, value: Any, ttl_ms: int) -> Any:
    """The token of the new value, or NotImplemented."""
    return NotImplemented


try:
    from . import _fast
except ImportError:
    pass  # it is not in this package, or was built for another kind of processor
else:
    _functions = (
        _library.counter_add,
        _library.counter_address,
        _library.counter_get,
        _library.table_get,
        _library.table_set,
    )
    _fast.bind(*map(_address, _functions), _fail, _fail_table, _too_large)
    CounterCalls = _fast.Counter  # type: ignore[assignment,misc]
    table_get = _fast.table_get
    table_set = _fast.table_set

"""What counters do most: by the extension `_fast` where it is there, else by ctypes."""

from __future__ import annotations

from ctypes import byref, c_int64, c_void_p, cast
from typing import Any, NoReturn

from . import _errors, _library

_MIN, _MAX = -(1 << 63), (1 << 63) - 1


def _fail(code: int) -> NoReturn:
    raise _library.failure(code, _errors.COUNTER)


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


try:
    from . import _fast
except ImportError:
    pass  # it is not in this package, or was built for another kind of processor
else:
    _fast.bind(
        _address(_library.counter_add),
        _address(_library.counter_address),
        _address(_library.counter_get),
        _fail,
        _too_large,
    )
    CounterCalls = _fast.Counter  # type: ignore[assignment,misc]

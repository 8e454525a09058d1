"""libcluster by ctypes: where it is, and what its functions take.

Calls keep the interpreter's lock (PyDLL): none of them waits for anything, and giving the lock up
would cost more than most of them. Opening may ask the daemon, so that one lets go.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_char, c_char_p, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Dict, Type

from ._errors import Error

SONAME = "libcluster.so.0"
MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 523232
MAX_COUNTER_NAME = 128
CLASSES = 48
ATOMIC = 1
STRIPED = 2
READ_ONLY = 1


class Value(Structure):
    _fields_ = [("size", c_size_t), ("token", c_uint64), ("ttl_ms", c_int64)]


class Item(Structure):
    _fields_ = [("key_size", c_size_t), ("value", Value)]


class Cursor(Structure):
    _fields_ = [("opaque", c_uint64 * 4)]


class CounterItem(Structure):
    _fields_ = [("name", c_char * (MAX_COUNTER_NAME + 1)), ("kind", c_uint), ("index", c_uint32), ("value", c_int64)]


class ClassStats(Structure):
    _fields_ = [("block_bytes", c_uint64), ("used_blocks", c_uint64), ("free_blocks", c_uint64)]


class Stats(Structure):
    _fields_ = [
        (name, c_uint64)
        for name in (
            "segment_bytes",
            "generation",
            "keys",
            "bytes",
            "counters",
            "counters_limit",
            "participants",
            "participants_limit",
            "unassigned_bytes",
            "settled_participants",
            "settled_blocks",
        )
    ] + [("classes", ClassStats * CLASSES)]


def _load() -> "tuple[ctypes.PyDLL, ctypes.CDLL]":
    beside = Path(__file__).with_name(SONAME)
    name = os.environ.get("LIBCLUSTER_PATH") or (str(beside) if beside.exists() else SONAME)
    try:
        return ctypes.PyDLL(name), ctypes.CDLL(name)
    except OSError as reason:
        raise ImportError(
            f"clusterd needs {SONAME}: {reason}. Install clusterd's libcluster, or say where it is by LIBCLUSTER_PATH"
        ) from None


def _declare(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function


_fast, _slow = _load()
_key = (c_char_p, c_size_t)
_write = (c_void_p, *_key, c_char_p, c_size_t, c_int64, c_void_p)

version = _declare(_fast, "cluster_version", c_char_p)
error_text = _declare(_fast, "cluster_error_text", c_char_p, c_int)
store_open = _declare(_slow, "cluster_store_open", c_int, c_uint, POINTER(c_void_p))
store_stats = _declare(_slow, "cluster_store_stats", c_int, c_void_p, POINTER(Stats), c_size_t)
store_join = _declare(_fast, "cluster_store_join", c_int, c_void_p)
store_leave = _declare(_fast, "cluster_store_leave", None, c_void_p)
counter_open = _declare(_fast, "cluster_counter_open", c_int, c_void_p, c_char_p, c_uint, POINTER(c_void_p))
counter_add = _declare(_fast, "cluster_counter_add", c_int, c_void_p, c_int64, c_void_p)
counter_address = _declare(_fast, "cluster_counter_address", c_void_p, c_void_p)
counter_get = _declare(_fast, "cluster_counter_get", c_int64, c_void_p)
counter_set = _declare(_fast, "cluster_counter_set", c_int, c_void_p, c_int64)
counter_exchange = _declare(_fast, "cluster_counter_exchange", c_int, c_void_p, c_int64, c_void_p)
counter_compare_exchange = _declare(
    _fast, "cluster_counter_compare_exchange", c_int, c_void_p, c_void_p, c_int64
)
counter_next = _declare(_fast, "cluster_counter_next", c_int, c_void_p, POINTER(c_uint32), POINTER(CounterItem))
table_get = _declare(_fast, "cluster_table_get", c_int, c_void_p, *_key, c_void_p, c_size_t, c_void_p)
table_getdel = _declare(_fast, "cluster_table_getdel", c_int, c_void_p, *_key, c_void_p, c_size_t, c_void_p)
table_set = _declare(_fast, "cluster_table_set", c_int, *_write)
table_add = _declare(_fast, "cluster_table_add", c_int, *_write)
table_replace = _declare(_fast, "cluster_table_replace", c_int, *_write)
table_cas = _declare(_fast, "cluster_table_cas", c_int, *_write)
table_delete = _declare(_fast, "cluster_table_delete", c_int, c_void_p, *_key)
table_incr = _declare(_fast, "cluster_table_incr", c_int, c_void_p, *_key, c_int64, c_void_p)
table_next = _declare(
    _fast, "cluster_table_next", c_int, c_void_p, POINTER(Cursor), c_void_p, c_size_t, c_void_p, c_size_t, POINTER(Item)
)


def failure(code: int, classes: Dict[int, Type[Error]]) -> Error:
    """The exception for what a function returned."""
    kind = classes.get(-code, Error)
    return kind(error_text(code).decode(), -code)

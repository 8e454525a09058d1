"""Counting in Python beside an empty call of a C extension. Run under with_store; prints lines of JSON."""

import ctypes
import json
import os
import statistics
import time

import bench_empty
import clusterd
from clusterd import _library

CALLS = 300_000
ROUNDS = 9


def loop(function):
    def run(count):
        for _ in range(count):
            function()

    return run


def subjects():
    counter, striped, table = clusterd.counter("bench"), clusterd.striped_counter("striped"), clusterd.table
    table["sixteen bytes ok"] = b"v" * 64
    handle, value = counter._handle, ctypes.c_int64()
    return {
        "empty call of a C extension": (CALLS, loop(bench_empty.call)),
        "counter.add()": (CALLS, loop(counter.add)),
        "striped_counter.add()": (CALLS, loop(striped.add)),
        "cluster_counter_add by ctypes": (
            CALLS // 10,
            loop(lambda: _library.counter_add(handle, 1, ctypes.byref(value))),
        ),
        "table.get(), 64 bytes": (CALLS // 10, loop(lambda: table.get(b"sixteen bytes ok"))),
        "table.set(), 64 bytes": (CALLS // 10, loop(lambda: table.set(b"sixteen bytes ok", b"v" * 64))),
    }


def measure():
    """Nanoseconds of each, all of them in turn."""
    everything = subjects()
    times = {name: [] for name in everything}
    for round in range(-1, ROUNDS):
        for name, (count, run) in everything.items():
            begin = time.thread_time_ns()
            run(count)
            if round >= 0:
                times[name].append((time.thread_time_ns() - begin) / count)
    return {name: statistics.median(each) for name, each in times.items()}


def measure_in_two():
    """The same in two forked processes at once."""
    pipes = [os.pipe(), os.pipe()]
    for _, write in pipes:
        if os.fork() == 0:
            os.write(write, json.dumps(measure()).encode())
            os._exit(0)
    both = [json.loads(os.read(read, 65536)) for read, _ in pipes]
    return {name: statistics.mean(each[name] for each in both) for name in both[0]}


for workers, result in ((1, measure()), (2, measure_in_two())):
    for name, ns in result.items():
        row = {"group": "python", "name": name, "workers": workers, "ns": ns, "per_second": round(workers * 1e9 / ns)}
        print(json.dumps(row), flush=True)

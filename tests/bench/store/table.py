#!/usr/bin/env python3
"""Measures the store beside what else could be shared, all of it in one run, and prints one table: first each figure, then
each ratio that is promised, beside its target.

The store and what it is compared with take turns, so that a machine that drifts drifts for both; a row is the median of
the rounds. What is not installed is left out, and said.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

MAP = "unordered_map + mutex, threads"
REDIS, MEMCACHED, LMDB = "redis, UNIX socket", "memcached, UNIX socket", "LMDB on /dev/shm"
XADD = "lock xadd"


class Row:
    """A promise: how often `one` goes into `other`, by the rate (`more`) or by the time (`less`)."""

    def __init__(self, text, one, other, target, more=True):
        self.text, self.one, self.other, self.target, self.more = text, one, other, target, more


def table_rows(group, workers, **targets):
    names = {"map": MAP, "lmdb": LMDB, "redis": REDIS, "memcached": MEMCACHED}
    processes = "1 process" if workers == 1 else "2 processes"
    return [
        Row(f"table, {group}, {processes} / {names[peer]}", (group, "table", workers), (group, names[peer], workers), target)
        for peer, target in targets.items()
    ]


def counting(name, workers=1):
    return ("counting", name, workers)


ROWS = [
    Row("striped add / lock xadd", counting("cluster_stripe_add"), counting(XADD), 0.6, more=False),
    Row("atomic add at its address / lock xadd", counting("at cluster_counter_address"), counting(XADD), 1.2, more=False),
    Row("cluster_counter_add / lock xadd in a function", counting("cluster_counter_add"),
        counting("lock xadd in a function"), 1.2, more=False),
    Row("striped add, 2 processes / 1", counting("cluster_stripe_add", 2), counting("cluster_stripe_add"), 1.2, more=False),
    Row("table incr of a hot key / lock xadd", counting("cluster_table_incr"), counting(XADD), 20, more=False),
    Row("Node: Atomics.add on the store / on its own array", ("node", "Atomics.add, counter.array", 1),
        ("node", "Atomics.add, array of its own", 1), 1.3, more=False),
    Row("Python: add / an empty call of a C extension", ("python", "counter.add()", 1),
        ("python", "empty call of a C extension", 1), 1.5, more=False),
    *table_rows("64 B 90/10", 1, map=1.6, lmdb=3, redis=120),
    *table_rows("64 B 90/10", 2, map=5, lmdb=6, redis=120, memcached=50),
    *table_rows("64 B 50/50", 1, lmdb=4.5),
    *table_rows("64 B 50/50", 2, lmdb=12),
    *table_rows("1 KiB 90/10", 1, map=1.6, lmdb=4),
    *table_rows("1 KiB 90/10", 2, map=4, lmdb=6),
    *table_rows("hot 64 B 90/10", 1, map=1.0),
    Row("table, 64 B 90/10, 2 processes / 1", ("64 B 90/10", "table", 2), ("64 B 90/10", "table", 1), 1.8),
]

# Plain figures, at most: (text, group, name, target, unit).
FIGURES = [
    ("operation of another right after a kill", "kill", "operation us", 1000, "us"),
    ("the same, 99 of 100", "kill", "operation us, 99 of 100", 1000, "us"),
    ("settling what the killed one left", "kill", "settling us", 100, "us"),
    ("the same, processor time", "kill", "settling CPU us", 10, "us"),
    ("memory: 16-byte key, 64-byte value", "memory", "bytes of an entry", 155, "B"),
]


def lines_of(command, env):
    print(f"  … {pathlib.Path(str(command[0])).name} {' '.join(map(str, command[1:]))}", file=sys.stderr)
    done = subprocess.run(command, env=os.environ | env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"  {command[0]} ended with {done.returncode}: its rows are missing", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def measure(build, rounds):
    with_store = build / "tests/with_store"
    bench = build / "tests/bench/store"
    here = pathlib.Path(__file__).resolve().parent
    python = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
    paths = f"{build / 'packaging/python/package'}:{bench}"
    found = lines_of([bench / "bench_store", "--rounds", str(rounds)], {})
    found += lines_of([with_store, "node", here / "node_rows.js"], {"NODE_PATH": str(build / "packaging/node/node_modules")})
    library = {"PYTHONPATH": paths, "LIBCLUSTER_PATH": str(build / "lib/libcluster.so.0")}
    found += lines_of([with_store, python, here / "python_rows.py"], library)
    return found


def print_figures(rates):
    print(f"{'':<52} {'1 process':>12} {'M op/s':>9}   {'2 processes':>12} {'M op/s':>9}")
    group = None
    for (row_group, name), by_workers in rates.items():
        if row_group != group:
            group = row_group
            print(group)
        cells = []
        for workers in (1, 2):
            one = by_workers.get(workers)
            cells.append(f"{one['ns']:>9.1f} ns {one['per_second'] / 1e6:>9.3f}" if one else f"{'-':>22}")
        print(f"  {name:<50} {cells[0]}   {cells[1]}")


def verdict(value, target, more):
    reached = value >= target if more else value <= target
    return f"{'>=' if more else '<='} {target:<6g} {'reached' if reached else 'MISSED'}"


def print_ratios(outcomes, values):
    print(f"\n{'':<72} {'measured':>12}   target")
    missed = 0
    for row in ROWS:
        one, other = outcomes.get(row.one), outcomes.get(row.other)
        if one is None or other is None:
            print(f"{row.text:<72} {'not here':>12}")
            continue
        value = one["per_second"] / other["per_second"] if row.more else one["ns"] / other["ns"]
        text = verdict(value, row.target, row.more)
        missed += text.endswith("MISSED")
        print(f"{row.text:<72} {value:>10.2f} x   {text}")
    for text, group, name, target, unit in FIGURES:
        if (group, name) not in values:
            print(f"{text:<72} {'not here':>12}")
            continue
        value = values[group, name]
        judged = verdict(value, target, False)
        missed += judged.endswith("MISSED")
        print(f"{text:<72} {value:>9.1f} {unit:<2}   {judged}")
    print(f"\n{missed} missed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/bench", type=pathlib.Path)
    parser.add_argument("--rounds", default=7, type=int)
    arguments = parser.parse_args()
    outcomes, values, rates = {}, {}, {}
    for line in measure(arguments.build.resolve(), arguments.rounds):
        if "value" in line:
            values[line["group"], line["name"]] = line["value"]
            continue
        outcomes[line["group"], line["name"], line["workers"]] = line
        rates.setdefault((line["group"], line["name"]), {})[line["workers"]] = line
    print_figures(rates)
    print_ratios(outcomes, values)
    return 0


if __name__ == "__main__":
    sys.exit(main())

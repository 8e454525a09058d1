#!/usr/bin/env python3
"""Measures the message channel beside a Node primary that does the same for the same workers, and beside raw sockets; in
turn, in one run, on the same cores. Prints a table of ratios with the goals of the project.

Nothing here passes or fails: a figure is a figure. The two sides take turns, so that a machine that drifts drifts for both; a
ratio is the median of those of the turns.
"""
import argparse
import json
import os
import pathlib
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LISTENERS = 100
FAN_ROUNDS = 100


def pause(seconds: float) -> None:
    """Leaves the cores to those that are measured."""
    select.select([], [], [], seconds)


def cpu_ns(pid: int) -> int:
    """Of all threads, exactly."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def heap_bytes(pid: int) -> int:
    total, is_heap = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0] and not line.split(" ", 1)[0].endswith(":"):
            is_heap = line.endswith("[heap]") or len(line.split()) == 5
        elif is_heap and line.startswith("Private_Dirty:"):
            total += int(line.split()[1]) * 1024
    return total


def await_file(path: pathlib.Path, seconds: float = 120) -> str:
    limit = time.monotonic() + seconds
    while not path.exists() or not path.stat().st_size:
        if time.monotonic() > limit:
            raise RuntimeError(f"{path.name} does not come")
        pause(0.01)
    return path.read_text()


class Side:
    """Whoever has the workers: their results are files in a directory, named by pid."""

    def __init__(self, directory: pathlib.Path):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.marks = directory / "marks"

    def clear(self) -> None:
        for file in self.directory.glob("*.json"):
            file.unlink()
        self.marks.write_bytes(bytes(8 * LISTENERS * FAN_ROUNDS))

    def results(self, count: int) -> list:
        limit = time.monotonic() + 120
        while len(list(self.directory.glob("*.json"))) < count:
            if time.monotonic() > limit:
                raise RuntimeError("a worker does not end")
            pause(0.01)
        return [json.loads(file.read_text()) for file in self.directory.glob("*.json")]

    def run(self, go: str, count: int, workers: int = 1) -> dict:
        self.clear()
        before = cpu_ns(self.pid())
        self.order({"go": go, "count": count, "topic": "fan"}, workers > 1)
        results = self.results(workers)
        used = cpu_ns(self.pid()) - before
        if go == "fan":
            return {"cpu": used / count, "latency": self.latencies(results[0]["sent"])}
        seconds = (max(r["end"] for r in results) - min(r["begin"] for r in results)) * 1e-9
        total = sum(r["count"] for r in results)
        return {"rate": total / seconds, "cpu": used / total}

    def latencies(self, sent: list) -> float:
        """The median of the times until the last listener has it."""
        pause(0.1)
        data = struct.unpack(f"{LISTENERS * FAN_ROUNDS}q", self.marks.read_bytes())
        last = [max(data[i * FAN_ROUNDS + k] for i in range(LISTENERS)) for k in range(FAN_ROUNDS)]
        if min(min(data[i * FAN_ROUNDS + k] for i in range(LISTENERS)) for k in range(FAN_ROUNDS)) == 0:
            raise RuntimeError("a listener has missed a message")
        return statistics.median(end - begin for begin, end in zip(sent, last))


class Node(Side):
    def __init__(self, bench, workers: int, listeners: int):
        super().__init__(bench.scratch / f"node{workers}{listeners}")
        self.clear()
        command = ["node", HERE / "primary.js", str(workers), self.directory, str(listeners), bench.peer, "listen",
                   self.marks, "INDEX", str(FAN_ROUNDS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the Node primary does not come up")

    def pid(self) -> int:
        return self.process.pid

    def order(self, order: dict, to_all: bool) -> None:
        self.process.stdin.write(json.dumps(order | {"all": to_all}) + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Reader(Side):
    """The same workers above a program that moves the bytes and does nothing else."""

    def __init__(self, bench, workers: int, listeners: int, options: tuple = ()):
        super().__init__(bench.scratch / f"reader{workers}{listeners}{''.join(options)}")
        self.clear()
        command = [bench.tools / "bench_channel_reader", *options, str(workers), "node", HERE / "worker.js", self.directory]
        if listeners:
            command += ["--", str(listeners), bench.peer, "listen", self.marks, "INDEX", str(FAN_ROUNDS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the reader does not come up")

    def pid(self) -> int:
        return self.process.pid

    def order(self, order: dict, to_all: bool) -> None:
        self.process.stdin.write(("*" if to_all else "") + json.dumps(order) + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Clusterd(Side):
    def __init__(self, bench, workers: int, listeners: int):
        super().__init__(bench.scratch / f"ours{workers}{listeners}")
        self.clear()
        self.bench = bench
        ready = 'ready = "channel"\nmin_uptime = "0s"\n'
        config = self.directory / "site.toml"
        config.write_text(
            '[[channel.rule]]\nmatch = { type = "updateCounter" }\nincr = "globalCounter"\nby = "increment"\n'
            f'[worker.web]\ncommand = {json.dumps(["node", str(HERE / "worker.js"), str(self.directory)])}\n'
            f"instances = {workers}\n{ready}"
            + (f'[worker.ear]\ncommand = {json.dumps([bench.peer, "listen", str(self.marks), "0", str(FAN_ROUNDS)])}\n'
               f"instances = {listeners}\n{ready}" if listeners else ""))
        bench.ctl("start", str(config))
        self.supervisor = bench.supervisor_pid()

    def pid(self) -> int:
        return self.supervisor

    def order(self, order: dict, to_all: bool) -> None:
        self.bench.ctl("send", "web" if to_all else "web.0", json.dumps(order))

    def end(self) -> None:
        self.bench.ctl("shutdown")


class Bench:
    def __init__(self, build: pathlib.Path, scratch: pathlib.Path):
        self.bin = build / "bin"
        self.tools = build / "tests/bench/channel"
        self.peer = str(self.tools / "bench_channel_peer")
        self.mark = str(build / "tests/bench/bench_mark")
        self.scratch = scratch
        names = {"CLUSTER_RUNTIME_DIR": "run", "CLUSTER_STATE_DIR": "state", "CLUSTER_LOG_DIR": "log"}
        self.env = os.environ | {name: str(scratch / folder) for name, folder in names.items()}

    def ctl(self, *arguments: str) -> str:
        command = [self.bin / "clusterctl", *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"clusterctl {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def supervisor_pid(self) -> int:
        return json.loads(self.ctl("status", "--json"))["daemon"]["supervisor_pid"]

    def start_workers(self, *tables: tuple) -> None:
        config = self.scratch / "peers.toml"
        config.write_text("".join(
            f"[worker.{name}]\ncommand = {json.dumps(command)}\nready = \"channel\"\nmin_uptime = \"0s\"\n"
            for name, command in tables))
        self.ctl("start", str(config))

    def stream(self, count: int) -> dict:
        """One C worker to one C worker."""
        out = self.scratch / "sink.out"
        out.unlink(missing_ok=True)
        block = "5000"
        self.start_workers(("sink", [self.peer, "sink", "source.0", str(count), block, str(out)]),
                           ("source", [self.peer, "source", "sink.0", str(count), block]))
        before = cpu_ns(self.supervisor_pid())
        self.ctl("send", "sink.0", "1")
        came, dropped, taken = (int(word) for word in await_file(out).split())
        used = cpu_ns(self.supervisor_pid()) - before
        self.ctl("delete", "sink", "source")
        if dropped:
            raise RuntimeError(f"{dropped} messages were dropped")
        return {"rate": came / (taken * 1e-9), "cpu": used / came}

    def ping(self, count: int) -> list:
        out = self.scratch / "ping.out"
        out.unlink(missing_ok=True)
        self.start_workers(("ping", [self.peer, "ping", "pong.0", str(count), str(out)]),
                           ("pong", [self.peer, "pong", "ping.0"]))
        self.ctl("send", "ping.0", "1")
        await_file(out)
        self.ctl("delete", "ping", "pong")
        return [int(line) for line in out.read_text().splitlines()]

    def hops(self, count: int) -> list:
        out = self.scratch / "hops.out"
        subprocess.run([self.tools / "bench_channel_hops", str(count), out], check=True)
        return [int(line) for line in out.read_text().splitlines()]

    def heap_with(self, channel: str, count: int) -> int:
        """Of a daemon with so many workers that never say anything."""
        config = self.scratch / "rest.toml"
        config.write_text(f"[worker.w]\ncommand = {json.dumps([self.mark, '/dev/null'])}\ninstances = {count}\n"
                          f"channel = {channel}\nmin_uptime = \"0s\"\n")
        self.ctl("start", str(config))
        size = heap_bytes(self.supervisor_pid())
        self.ctl("shutdown")
        return size


def row(name: str, pairs: list, unit: str, goal: str) -> None:
    """The ratio is the median of those of the pairs, each of which had the machine at the same time."""
    ours, floor = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(mine / other for mine, other in pairs)
    print(f"{name:<50} {ours:>11,.1f} {floor:>11,.1f} {unit:<6} {ratio:>6.2f} ×   {goal}", flush=True)


def figure(name: str, value: str, goal: str = "") -> None:
    print(f"{name:<50} {value:>30}            {goal}", flush=True)


def in_turn(rounds: int, *sides) -> list:
    return [tuple(side() for side in sides) for _ in range(rounds)]


def rows(name: str, rounds: list, key: str, scale: float, unit: str, goal: str) -> None:
    """The daemon to Node, and below it the programs that only move the bytes to Node."""
    labels = name, "", "    of the floor", "    of the floor with a change in the store"
    for side in range(len(rounds[0])):
        if side != 1:
            row(labels[side], [(each[side][key] * scale, each[1][key] * scale) for each in rounds], unit,
                "" if side else goal)


def against_node(bench: Bench, rounds: int, count: int) -> None:
    sides = Clusterd(bench, 4, 0), Node(bench, 4, 0), Reader(bench, 4, 0), Reader(bench, 4, 0, ("--change",))
    try:
        for go, workers, name in (("flood", 1, "messages/s of 1 in a loop, 100 bytes"),
                                  ("flood", 4, "messages/s of 4 in a loop, 100 bytes"),
                                  ("numbered", 1, "of 1, no two messages the same"),
                                  ("numbered", 4, "of 4, no two messages the same")):
            flood = in_turn(rounds, *(lambda side=side: side.run(go, count, workers) for side in sides))
            rows(name, flood, "rate", 1e-3, "k/s", "≥ 1.5")
            rows("  CPU of the daemon per message", flood, "cpu", 1e-3, "µs", "≤ 0.5")
        trips = in_turn(rounds, *(lambda side=side: side.run("trips", count // 10) for side in sides))
        rows("requests with their replies/s", trips, "rate", 1e-3, "k/s", "≥ 1.2")
        rows("  CPU of the daemon per request", trips, "cpu", 1e-3, "µs", "≤ 0.5")
    finally:
        for side in sides:
            side.end()


def fan_out(bench: Bench, rounds: int) -> None:
    sides = Clusterd(bench, 1, LISTENERS), Node(bench, 1, LISTENERS), Reader(bench, 1, LISTENERS)
    try:
        fans = in_turn(rounds, *(lambda side=side: side.run("fan", FAN_ROUNDS) for side in sides))
        rows(f"one message to {LISTENERS} workers: the last has it", fans, "latency", 1e-3, "µs", "")
        rows("  CPU of the daemon for it", fans, "cpu", 1e-3, "µs", "≤ 0.5")
    finally:
        for side in sides:
            side.end()


def between_workers(bench: Bench, rounds: int, count: int) -> None:
    bench.ctl("start", "--name", "idle", "--", "tail", "-f", "/dev/null")
    try:
        streams = [bench.stream(count * 20) for _ in range(rounds)]
        rate = statistics.median(each["rate"] for each in streams)
        figure("one C worker to one C worker", f"{rate / 1e3:,.0f} k/s", "≥ 500 k/s")
        figure("  CPU of the daemon per message", f"{statistics.median(s['cpu'] for s in streams) / 1e3:.2f} µs")
        # Short and many: a moment in which somebody else has the cores is one of either side.
        pairs = in_turn(3 * rounds, lambda: sorted(bench.ping(count // 20)), lambda: sorted(bench.hops(count // 20)))
        for name, share, goal in (("fastest tenth", 10, "≤ 1.5"), ("median", 50, "≤ 1.5"), ("p99", 99, "")):
            row(f"worker to worker, {name}; two raw hops",
                [tuple(side[len(side) * share // 100] / 2e3 for side in pair) for pair in pairs], "µs", goal)
    finally:
        bench.ctl("shutdown")


def at_rest(bench: Bench) -> None:
    count = 1000
    without = bench.heap_with("false", count)
    with_it = bench.heap_with('"json"', count)
    figure("heap of a channel at rest", f"{(with_it - without) / count:,.0f} B", "≤ 4,096 B")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/bench", type=pathlib.Path)
    parser.add_argument("--rounds", default=9, type=int)
    parser.add_argument("--count", default=50000, type=int, help="messages of a worker in a round")
    parser.add_argument("rows", nargs="*", default=["node", "fan", "workers", "rest", "parsers"])
    arguments = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-bench-"))
    bench = Bench(arguments.build.resolve(), scratch)
    print("The floor is a program that moves the same bytes and does nothing with them; its ratio is to Node, too.")
    print(f"{'':<50} {'clusterd':>11} {'Node':>11} {'':<6} {'ratio':>8}   goal")
    try:
        if "node" in arguments.rows:
            against_node(bench, arguments.rounds, arguments.count)
        if "fan" in arguments.rows:
            fan_out(bench, arguments.rounds)
        if "workers" in arguments.rows:
            between_workers(bench, arguments.rounds, arguments.count)
        if "rest" in arguments.rows:
            at_rest(bench)
        if "parsers" in arguments.rows:
            subprocess.run([bench.tools / "bench_channel_parsers"], check=True)
    finally:
        subprocess.run([bench.bin / "clusterctl", "shutdown"], env=bench.env, capture_output=True)
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Measures clusterd beside the floor, in turn, in one run, and prints a table of ratios.

Nothing here passes or fails: a figure is a figure. Each row is the median of the rounds; the floor and clusterd take turns,
so that a machine that drifts drifts for both.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import figures
import peers


class Bench:
    def __init__(self, build: pathlib.Path, scratch: pathlib.Path):
        self.bin = build / "bin"
        self.floor_program = build / "tests/bench/bench_floor"
        self.worker = build / "tests/bench/bench_mark"
        self.scratch = scratch
        self.marks = figures.Marks(scratch / "marks")
        names = {"CLUSTER_STATE_DIR": "state", "CLUSTER_LOG_DIR": "log"}
        self.env = os.environ | {name: str(scratch / folder) for name, folder in names.items()}
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-bench-", dir=figures.memory_directory()))
        self.env["CLUSTER_RUNTIME_DIR"] = str(self.runtime)

    # --- the two that are compared ---

    def floor(self, mode: str, count: int) -> dict:
        self.marks.clear()
        command = [self.floor_program, mode, str(count), self.marks.path, self.worker, self.marks.path]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def ctl(self, *arguments: str) -> str:
        command = [self.bin / "clusterctl", *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"clusterctl {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def config(self, count: int) -> str:
        path = self.scratch / f"bench{count}.toml"
        command = json.dumps([str(self.worker), str(self.marks.path)])
        path.write_text(
            f'[worker.w]\ncommand = {command}\ninstances = {count}\nmin_uptime = "0s"\n'
            'backoff = { initial = "0ms", max = "1ms", jitter = 0.0 }\n'
            'restart_limit = { count = 32, window = "1ms", then = "slow" }\n')
        return str(path)

    # --- the rows ---

    def daemon_pids(self) -> list[int]:
        daemon = json.loads(self.ctl("status", "--json"))["daemon"]
        return [daemon["pid"], daemon["supervisor_pid"]]

    def start(self, count: int) -> float:
        self.marks.clear()
        config = self.config(count)
        begin = time.monotonic()
        self.ctl("start", "--no-wait", config)
        self.marks.wait_for(count)
        seconds = max(at for _, at in self.marks.read()) - begin
        self.ctl("delete", "w")
        return seconds

    def storm(self, count: int) -> float:
        self.marks.clear()
        self.ctl("start", self.config(count))
        self.marks.wait_for(count)
        victims = [pid for pid, _ in self.marks.read()]
        struck = time.monotonic()
        for pid in victims:
            os.kill(pid, 9)
        self.marks.wait_for(2 * count)
        seconds = max(at for _, at in self.marks.read()) - struck
        self.ctl("delete", "w")
        return seconds

    def stop(self, count: int) -> float:
        self.marks.clear()
        self.ctl("start", self.config(count))
        self.marks.wait_for(count)
        begin = time.monotonic()
        self.ctl("stop", "w")
        seconds = time.monotonic() - begin
        self.ctl("delete", "w")
        return seconds

    def crash(self, count: int) -> list[float]:
        self.marks.clear()
        self.ctl("start", self.config(1))
        latencies = []
        for i in range(count):
            self.marks.wait_for(i + 1)
            pid, _ = self.marks.read()[-1]
            struck = time.monotonic()
            os.kill(pid, 9)
            self.marks.wait_for(i + 2)
            latencies.append(self.marks.read()[-1][1] - struck)
        self.ctl("delete", "w")
        return latencies

    def crash_floor(self, count: int) -> list[float]:
        kills = self.floor("crash", count)["kills"]
        marks = [at for _, at in self.marks.read()]
        return [mark - kill for kill, mark in zip(kills, marks[1:])]

    def seconds_of(self, *arguments: str) -> float:
        begin = time.monotonic()
        self.ctl(*arguments)
        return time.monotonic() - begin

    def firehose(self, megabytes: int) -> tuple[float, float]:
        """Seconds and the supervisor's CPU seconds to log so much of a worker that only writes."""
        log = self.scratch / "log/hose.0.out.log"
        size = megabytes << 20
        config = self.scratch / "hose.toml"
        config.write_text(
            f'[worker.hose]\ncommand = ["head", "-c", "{size}", "/dev/zero"]\nrestart = "never"\n'
            'log = { max_size = "50MiB", keep = 100, compress = false }\n')
        before = figures.cpu_seconds(self.daemon_pids())
        begin = time.monotonic()
        self.ctl("start", "--no-wait", str(config))
        while figures.total_bytes(log) < size:
            figures.pause(0.005)  # a look takes 0.1 ms of a core that they need
        seconds = time.monotonic() - begin
        used = figures.cpu_seconds(self.daemon_pids()) - before
        self.ctl("delete", "hose")
        for file in log.parent.glob("hose.*"):
            file.unlink()
        return seconds, used

    def cat(self, megabytes: int) -> float:
        target = self.scratch / "cat.out"
        size = megabytes << 20
        begin = time.monotonic()
        subprocess.run(f"head -c {size} /dev/zero | cat > {target}", shell=True, check=True)
        seconds = time.monotonic() - begin
        target.unlink()
        return seconds

    def splice_floor(self, megabytes: int) -> float:
        """CPU seconds of a program that moves as much into a file, one that grows, and does nothing else."""
        target = self.scratch / "splice.out"
        command = f"head -c {megabytes << 20} /dev/zero | {self.floor_program} splice {target}"
        done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
        target.unlink()
        return json.loads(done.stdout)["cpu"]


def in_turn(rounds: int, one, other) -> tuple[float, float]:
    pairs = [(one(), other()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def row(name: str, ours: float, floor: float, unit: str = "ms", scale: float = 1e3) -> None:
    print(f"{name:<44} {ours * scale:>9.2f} {unit:<3} {floor * scale:>9.2f} {unit:<3} {ours / floor:>6.2f} ×")


def figure(name: str, value: str) -> None:
    print(f"{name:<50} {value}")


def memory(bench: Bench, what: str, count: int) -> None:
    bench.ctl("start", bench.config(count))
    pids = bench.daemon_pids()
    figures.pause(0.2)  # the code of the last command is let go of when its client has gone
    figure(f"memory at {what} (PSS of both processes)", f"{figures.pss_kib(pids) / 1024:.1f} MiB")


def measure(bench: Bench, rounds: int, idle: float) -> None:
    print(f"{'':<44} {'clusterd':>13} {'floor':>13} {'ratio':>8}")
    memory(bench, "100 workers", 100)
    memory(bench, "1,000 workers", 1000)
    bench.ctl("delete", "w")
    for count in (100, 1000):
        ours, floor = in_turn(rounds, lambda: bench.start(count), lambda: bench.floor("start", count)["seconds"])
        row(f"start of {count} workers", ours, floor)
    ours, floor = in_turn(rounds, lambda: bench.storm(1000), lambda: bench.floor("storm", 1000)["seconds"])
    row("1,000 killed at once, all back", ours, floor)
    ours, floor = in_turn(rounds, lambda: bench.stop(100), lambda: bench.floor("stop", 100)["seconds"])
    row("stop of 100 workers", ours, floor)
    pairs = [(bench.crash(25), bench.crash_floor(25)) for _ in range(8)]
    crashes, floors = [sum(side, []) for side in zip(*pairs)]
    row("crash to replacement running, median", statistics.median(crashes), statistics.median(floors))
    row("crash to replacement running, p99", figures.percentile(crashes, 0.99), figures.percentile(floors, 0.99))
    turns = [(*bench.firehose(1024), bench.cat(1024), bench.splice_floor(1024)) for _ in range(rounds)]
    hose, cpu, cat, splice = [statistics.median(side) for side in zip(*turns)]
    row("1 GiB of output into the log; floor: cat", hose, cat)
    row("  CPU of the daemon; floor: a loop of splice", cpu, splice)

    bench.ctl("start", bench.config(100))
    ours, floor = in_turn(20, lambda: bench.seconds_of("status"), lambda: bench.seconds_of("version"))
    row("status with 100 workers; floor: version", ours, floor)
    memory(bench, "100 after 1,000", 100)
    pids = bench.daemon_pids()
    figures.pause(0.2)  # the daemon may still have to see this client go
    before = figures.switches(pids)
    figures.pause(idle)
    figure(f"wake-ups in {idle:.0f} idle seconds, 100 workers", str(figures.switches(pids) - before))
    bench.ctl("start", bench.config(1000))
    before_cpu = figures.cpu_seconds(pids)
    for _ in range(20):
        bench.ctl("status")
    figure("CPU of the daemon per status of 1,000", f"{(figures.cpu_seconds(pids) - before_cpu) / 20 * 1e3:.1f} ms")
    bench.ctl("delete", "w")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/bench", type=pathlib.Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--peers", type=pathlib.Path, help="directory that peers.sh has filled: also measure those")
    parser.add_argument("--idle", default=20.0, type=float, help="seconds to watch an idle daemon")
    arguments = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="clusterd-bench-"))
    bench = Bench(arguments.build.resolve(), scratch)
    try:
        bench.ctl("start", "--name", "idle", "--", "sleep", "1000000")
        bench.ctl("delete", "idle")
        measure(bench, arguments.rounds, arguments.idle)
        if arguments.peers:
            peers.measure(arguments.peers.resolve(), scratch, bench.worker, arguments.idle)
    finally:
        subprocess.run([bench.bin / "clusterctl", "shutdown"], env=bench.env, capture_output=True)
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(bench.runtime, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Measures Node.js servers under clusterd (node_cluster = true) beside the same server under Node's own primary, under PM2, and
started by hand, in turn, in one run, and prints a table of ratios.

Nothing here passes or fails: a figure is a figure. All of them run all the time, on ports of their own; each round asks each of
them for some seconds, in another order, and a ratio is the median of the ratios of the rounds, so that a machine that drifts drifts for
all. Wants wrk and node; PM2 is measured where npm reaches its registry.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVER = """
require('http').createServer((request, response) => response.end('hello')).listen(Number(process.env.PORT), '127.0.0.1');
"""
PRIMARY = """
const cluster = require('cluster');
cluster.schedulingPolicy = process.argv[2] === 'round-robin' ? cluster.SCHED_RR : cluster.SCHED_NONE;
cluster.setupPrimary({ exec: process.argv[3] });
for (let i = 0; i < Number(process.argv[4]); i++) cluster.fork();
"""
LIMIT_S = 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(condition, what: str) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(f"not within {LIMIT_S} s: {what}")
        select.select([], [], [], 0.002)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, build: pathlib.Path, scratch: pathlib.Path, seconds: int, workers: int):
        self.build, self.scratch, self.seconds, self.workers = build, scratch, seconds, workers
        self.server = scratch / "server.js"
        self.server.write_text(SERVER)
        self.primary = scratch / "primary.js"
        self.primary.write_text(PRIMARY)
        names = {"CLUSTER_RUNTIME_DIR": "run", "CLUSTER_STATE_DIR": "state", "CLUSTER_LOG_DIR": "log", "PM2_HOME": "pm2"}
        self.env = os.environ | {name: str(scratch / folder) for name, folder in names.items()}
        self.started: list[subprocess.Popen] = []
        self.ports: dict[str, int] = {}
        self.primaries: dict[str, int] = {}
        self.pm2: pathlib.Path | None = None

    # --- who is compared

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run([self.build / "bin/clusterctl", *arguments], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"clusterctl {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def spawn(self, name: str, argv: list) -> None:
        self.ports[name] = free_port()
        env = self.env | {"PORT": str(self.ports[name])}
        self.started.append(subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL))
        self.primaries[name] = self.started[-1].pid

    def start(self) -> None:
        node = shutil.which("node")
        self.spawn("by hand", [node, self.server])
        for policy in ("shared", "round-robin"):
            self.spawn(f"node {policy}", [node, self.primary, policy, self.server, str(self.workers)])
        tables = []
        for name, policy, count in (("one", "shared", 1), ("shared", "shared", self.workers),
                                    ("round-robin", "round-robin", self.workers), ("eight", "shared", 8)):
            self.ports[f"clusterd {name}"] = free_port()
            tables.append(f'[worker.{name}]\ncommand = ["{node}", "{self.server}"]\ninstances = {count}\nmin_uptime = "0s"\n'
                          f'node_cluster = true\nnode_schedule = "{policy}"\nenv = {{ PORT = {self.ports[f"clusterd {name}"]} }}\n')
        config = self.scratch / "bench.toml"
        config.write_text("\n".join(tables))
        self.ctl("start", str(config))
        self.primaries["clusterd round-robin"] = json.loads(self.ctl("status", "--json"))["daemon"]["supervisor_pid"]
        for name, port in self.ports.items():
            wait_for(lambda at=port: answers(at), name)

    def start_pm2(self) -> None:
        if shutil.which("npm") is None:
            return print("no npm: PM2 is not measured")
        place = self.scratch / "npm"
        place.mkdir()
        done = subprocess.run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--silent", "--fetch-retries", "0",
                               "pm2"], timeout=180)
        self.pm2 = place / "node_modules/.bin/pm2"
        if done.returncode != 0 or not self.pm2.exists():
            self.pm2 = None
            return print("npm reaches no registry: PM2 is not measured")
        for name, count in (("pm2", self.workers), ("pm2 eight", 8)):
            self.ports[name] = free_port()
            subprocess.run([self.pm2, "start", self.server, "--name", name.replace(" ", "-"), "-i", str(count)], check=True,
                           stdout=subprocess.DEVNULL, env=self.env | {"PORT": str(self.ports[name])})
            wait_for(lambda at=self.ports[name]: answers(at), name)
        self.primaries["pm2"] = int((self.scratch / "pm2/pm2.pid").read_text())

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.ctl("shutdown")
        if self.pm2:
            subprocess.run([self.pm2, "kill"], env=self.env, stdout=subprocess.DEVNULL)
        for process in self.started:
            process.send_signal(signal.SIGTERM)
            process.wait()

    # --- what is measured

    def load(self, name: str, is_kept: bool) -> tuple[float, float]:
        """Requests per second, and microseconds of the primary's time per request."""
        argv = ["wrk", "-t1", "-c32", f"-d{self.seconds}s", f"http://127.0.0.1:{self.ports[name]}/"]
        primary = self.primaries.get(name)
        before = cpu_seconds(primary) if primary else 0
        report = subprocess.run(argv + ([] if is_kept else ["-H", "Connection: close"]), check=True, capture_output=True,
                                text=True).stdout
        used = cpu_seconds(primary) - before if primary else 0
        requests = int(re.search(r"(\d+) requests in", report).group(1))
        return float(re.search(r"Requests/sec: +([\d.]+)", report).group(1)), used * 1e6 / max(requests, 1)

    def start_time(self) -> float:
        """The floor of a reload of eight: eight processes by hand, one after the other, each until it listens."""
        begin = time.monotonic()
        for _ in range(8):
            port = free_port()
            process = subprocess.Popen(["node", self.server], env=self.env | {"PORT": str(port)})
            wait_for(lambda at=port: answers(at), "a server by hand")
            process.kill()
            process.wait()
        return time.monotonic() - begin

    def reload_time(self, argv: list) -> float:
        begin = time.monotonic()
        subprocess.run(argv, env=self.env, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begin


def row(what: str, ours: list[float], others: list[float], unit: str, target: str) -> None:
    ratio = statistics.median(a / b for a, b in zip(ours, others) if b)
    print(f"| {what} | {statistics.median(ours):,.1f} | {statistics.median(others):,.1f} | {unit} | {ratio:.2f} | {target} |", flush=True)


def compare(bench: Bench, rounds: int) -> None:
    pairs = [("clusterd one", "by hand", True, "≥ 0.98"), ("clusterd one", "by hand", False, "≥ 0.98"),
             ("clusterd shared", "node shared", True, "≥ 0.98"), ("clusterd shared", "node shared", False, "≥ 0.98"),
             ("clusterd round-robin", "node round-robin", True, ""), ("clusterd round-robin", "node round-robin", False, "≥ 1.15")]
    if bench.pm2:
        pairs += [("clusterd round-robin", "pm2", True, ""), ("clusterd round-robin", "pm2", False, ""),
                  ("clusterd shared", "pm2", True, ""), ("clusterd shared", "pm2", False, "")]
    print("| what | clusterd | other | unit | ratio | target |\n|---|---|---|---|---|---|")
    for ours, other, is_kept, target in pairs:
        rates: dict[str, list[float]] = {ours: [], other: []}
        costs: dict[str, list[float]] = {ours: [], other: []}
        for i in range(rounds):
            for name in ((ours, other) if i % 2 == 0 else (other, ours)):
                rate, cost = bench.load(name, is_kept)
                rates[name].append(rate)
                costs[name].append(cost)
        what = f"{ours} / {other}, {'keep-alive' if is_kept else 'close'}"
        row(what, rates[ours], rates[other], "requests/s", target)
        if "round-robin" in ours and not is_kept:
            row(f"{what}: the primary's CPU", costs[ours], costs[other], "µs/connection", "≤ 0.50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for program in ("wrk", "node"):
        if shutil.which(program) is None:
            sys.exit(f"no {program}: packaging/install-build-deps.sh --tests")
    with tempfile.TemporaryDirectory(prefix="clusterd-bench-") as scratch:
        bench = Bench(options.build.resolve(), pathlib.Path(scratch), options.seconds, options.workers)
        try:
            bench.start()
            bench.start_pm2()
            compare(bench, options.rounds)
            floor, ours, pm2 = [], [], []
            for _ in range(max(3, options.rounds // 2)):
                floor.append(bench.start_time())
                ours.append(bench.reload_time([bench.build / "bin/clusterctl", "reload", "eight"]))
                if bench.pm2:
                    pm2.append(bench.reload_time([bench.pm2, "reload", "pm2-eight"]))
            row("reload of 8 workers / starting 8 by hand, in turn", ours, floor, "s", "")
            if pm2:
                row("reload of 8 workers / PM2's", ours, pm2, "s", "")
        finally:
            bench.stop()


if __name__ == "__main__":
    main()

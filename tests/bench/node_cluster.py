#!/usr/bin/env python3
"""Measures Node.js servers under clusterd (node_cluster = true) beside the same server under Node's own primary, under PM2, and
started by hand, in turn, in one run, and prints a table of ratios.

Nothing here passes or fails: a figure is a figure. All of them run all the time, on ports of their own; each round of a row measures both
sides, in another order, and a ratio is the median of the ratios of the rounds, so that a machine that drifts drifts for both. Every row
comes, with a figure or with the reason why it has none, and within --limit seconds all of them: then rows have fewer rounds, or are left
out and say so. Wants wrk and node; PM2 is measured where npm reaches its registry.
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
LIMIT_S = 20         # for one thing to happen
INSTALL_LIMIT_S = 40  # for npm to bring PM2
MIN_ROUNDS = 3       # fewer make no median


def free_ports():
    """Below those that the kernel gives to clients: one that wrk uses at the moment cannot be listened at, and who asks whether
    somebody listens at one of those that nobody has may connect to himself, and take it."""
    base = 10_000 + os.getpid() * 41 % 20_000
    for port in range(base, 32_768):
        with socket.socket() as one:
            is_free = one.connect_ex(("127.0.0.1", port)) != 0
        if is_free:
            yield port


PORTS = free_ports()


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
    def __init__(self, build: pathlib.Path, scratch: pathlib.Path, options: argparse.Namespace):
        self.build, self.scratch, self.workers = build, scratch, options.workers
        self.rounds, self.seconds, self.end = options.rounds, options.seconds, time.monotonic() + options.limit
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
        self.row_end = self.end

    # --- who is compared

    def ctl(self, *arguments: str) -> str:
        done = subprocess.run([self.build / "bin/clusterctl", *arguments], env=self.env, capture_output=True, text=True,
                              timeout=LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"clusterctl {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def spawn(self, name: str, argv: list) -> None:
        self.ports[name] = next(PORTS)
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
            self.ports[f"clusterd {name}"] = next(PORTS)
            tables.append(f'[worker.{name}]\ncommand = ["{node}", "{self.server}"]\ninstances = {count}\nmin_uptime = "0s"\n'
                          f'node_cluster = true\nnode_schedule = "{policy}"\nenv = {{ PORT = {self.ports[f"clusterd {name}"]} }}\n')
        config = self.scratch / "bench.toml"
        config.write_text("\n".join(tables))
        self.ctl("start", str(config))
        self.primaries["clusterd round-robin"] = json.loads(self.ctl("status", "--json"))["daemon"]["supervisor_pid"]
        for name, port in self.ports.items():
            wait_for(lambda at=port: answers(at), name)

    def start_pm2(self) -> None:
        """Without it its rows say why."""
        place = self.scratch / "npm"
        place.mkdir()
        pm2 = place / "node_modules/.bin/pm2"
        try:
            subprocess.run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--silent", "--fetch-retries", "0", "pm2"],
                           check=True, timeout=INSTALL_LIMIT_S)
            for name, count in (("pm2", self.workers), ("pm2 eight", 8)):
                port = next(PORTS)
                subprocess.run([pm2, "start", self.server, "--name", name.replace(" ", "-"), "-i", str(count)], check=True,
                               stdout=subprocess.DEVNULL, env=self.env | {"PORT": str(port)}, timeout=LIMIT_S)
                self.pm2 = pm2  # from now on it has to be stopped
                wait_for(lambda at=port: answers(at), name)
                self.ports[name] = port
            self.primaries["pm2"] = int((self.scratch / "pm2/pm2.pid").read_text())
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            print(f"PM2 is not measured: {error}", file=sys.stderr)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError, subprocess.SubprocessError):
            self.ctl("shutdown")
        if self.pm2:
            with contextlib.suppress(subprocess.SubprocessError):
                subprocess.run([self.pm2, "kill"], env=self.env, stdout=subprocess.DEVNULL, timeout=LIMIT_S)
        for process in self.started:
            process.kill()  # the workers of a primary that is gone end by themselves
            process.wait()

    # --- what is measured

    def load(self, name: str, is_kept: bool) -> tuple[float, float]:
        """Requests per second, and microseconds of the primary's time per request."""
        if name not in self.ports:
            raise RuntimeError(f"{name} is not there")
        argv = ["wrk", "-t1", "-c32", f"-d{self.seconds}s", f"http://127.0.0.1:{self.ports[name]}/"]
        primary = self.primaries.get(name)
        before = cpu_seconds(primary) if primary else 0
        report = subprocess.run(argv + ([] if is_kept else ["-H", "Connection: close"]), check=True, capture_output=True,
                                text=True, timeout=self.seconds + LIMIT_S).stdout
        used = cpu_seconds(primary) - before if primary else 0
        requests = int(re.search(r"(\d+) requests in", report).group(1))
        return float(re.search(r"Requests/sec: +([\d.]+)", report).group(1)), used * 1e6 / max(requests, 1)

    def start_time(self) -> float:
        """The floor of a reload of eight: eight processes by hand, one after the other, each until it listens."""
        begin = time.monotonic()
        for _ in range(8):
            port = next(PORTS)
            process = subprocess.Popen(["node", self.server], env=self.env | {"PORT": str(port)})
            try:
                wait_for(lambda at=port: answers(at), "a server by hand")
            finally:
                process.kill()
                process.wait()
        return time.monotonic() - begin

    def reload_time(self, argv: list) -> float:
        begin = time.monotonic()
        subprocess.run(argv, env=self.env, check=True, stdout=subprocess.DEVNULL, timeout=3 * LIMIT_S)
        return time.monotonic() - begin

    # --- rows

    def measure(self, ours, other) -> tuple[list, list]:
        """Both, in turn, until all rounds are done or the time is over."""
        results: tuple[list, list] = ([], [])
        for i in range(self.rounds):
            begin = time.monotonic()
            for side in ((0, 1) if i % 2 == 0 else (1, 0)):
                results[side].append((ours, other)[side]())
            if i + 1 >= MIN_ROUNDS and 2 * time.monotonic() - begin > self.row_end:
                break
        return results

    def rows(self, rows: list) -> None:
        """What is left of the time is shared among the rows that are left."""
        print("| what | clusterd | other | unit | ratio | target |\n|---|---|---|---|---|---|", flush=True)
        for i, (what, ours, other, show) in enumerate(rows):
            left = self.end - time.monotonic()
            self.row_end = time.monotonic() + left / (len(rows) - i)
            try:
                if left <= 0:
                    raise RuntimeError("no time was left")
                show(what, *self.measure(ours, other))
            except (OSError, KeyError, AttributeError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"| {what} | | | not measured: {str(error).splitlines()[0]} | | |", flush=True)


def row(what: str, ours: list[float], others: list[float], unit: str, target: str) -> None:
    ratios = [a / b for a, b in zip(ours, others) if b]
    ratio = f"{statistics.median(ratios):.2f}" if ratios else "–"
    print(f"| {what} | {statistics.median(ours):,.1f} | {statistics.median(others):,.1f} | {unit} | {ratio} | {target} |", flush=True)


def load_row(bench: Bench, ours: str, other: str, is_kept: bool, target: str) -> tuple:
    def show(what: str, mine: list, others: list) -> None:
        row(what, [rate for rate, _ in mine], [rate for rate, _ in others], "requests/s", target)
        if "round-robin" in ours and not is_kept:
            row(f"{what}: the primary's CPU", [cost for _, cost in mine], [cost for _, cost in others], "µs/connection", "≤ 0.50")
    what = f"{ours} / {other}, {'keep-alive' if is_kept else 'close'}"
    return what, lambda: bench.load(ours, is_kept), lambda: bench.load(other, is_kept), show


def all_rows(bench: Bench) -> list:
    pairs = [("clusterd one", "by hand", True, "≥ 0.98"), ("clusterd one", "by hand", False, "≥ 0.98"),
             ("clusterd shared", "node shared", True, "≥ 0.98"), ("clusterd shared", "node shared", False, "≥ 0.98"),
             ("clusterd round-robin", "node round-robin", True, ""), ("clusterd round-robin", "node round-robin", False, "≥ 1.15"),
             ("clusterd round-robin", "pm2", True, ""), ("clusterd round-robin", "pm2", False, ""),
             ("clusterd shared", "pm2", True, ""), ("clusterd shared", "pm2", False, "")]

    def show(what: str, mine: list, others: list) -> None:
        row(what, mine, others, "s", "")

    def reload() -> float:
        return bench.reload_time([bench.build / "bin/clusterctl", "reload", "eight"])

    def reload_pm2() -> float:
        if "pm2 eight" not in bench.ports:
            raise RuntimeError("PM2 is not there")
        return bench.reload_time([bench.pm2, "reload", "pm2-eight"])
    rows = [("reload of 8 workers / starting 8 by hand", reload, bench.start_time, show),
            ("reload of 8 workers / PM2's", reload, reload_pm2, show)]
    return rows + [load_row(bench, *pair) for pair in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of load on one of them in one round")
    parser.add_argument("--limit", type=float, default=220, help="seconds for all of it")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for program in ("wrk", "node"):
        if shutil.which(program) is None:
            sys.exit(f"no {program}: packaging/install-build-deps.sh --tests")
    with tempfile.TemporaryDirectory(prefix="clusterd-bench-") as scratch:
        bench = Bench(options.build.resolve(), pathlib.Path(scratch), options)
        try:
            bench.start()
            bench.start_pm2()
            bench.rows(all_rows(bench))
        finally:
            bench.stop()


if __name__ == "__main__":
    main()

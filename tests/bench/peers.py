"""What other process managers do with the same 100 trivial workers: started, stopped, one killed, left alone.

Each runs as its manual says, out of the directory that peers.sh fills. What cannot be had is left out. They do not do the same:
runit and s6 start no logger here, so their workers' output is captured by nobody, and PM2 and supervisord poll.
"""
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

import figures


class Peer:
    """One process manager over `count` workers that leave marks (tests/bench/mark.cpp)."""

    name = ""
    #: Some wait a second before they start again what ran for less than that.
    pause = 1.5

    def __init__(self, root: pathlib.Path, scratch: pathlib.Path, worker: pathlib.Path, count: int):
        self.root = root
        self.home = scratch / self.name
        self.marks = figures.Marks(self.home / "marks")
        self.command = [str(worker), str(self.marks.path)]
        self.count = count
        self.home.mkdir()
        self.env = os.environ | {
            "PATH": f"{root}/usr/bin:{root}/usr/sbin:{root}/sbin:{root}/node/node_modules/.bin:{os.environ['PATH']}",
            "PYTHONPATH": f"{root}/usr/lib/python3/dist-packages",
            "PM2_HOME": str(self.home),
        }

    def find(self, program: str) -> bool:
        return shutil.which(program, path=self.env["PATH"]) is not None

    def run(self, *command: str) -> None:
        subprocess.run(command, env=self.env, cwd=self.home, check=True, capture_output=True)

    def spawn(self, *command: str) -> subprocess.Popen:
        return subprocess.Popen(command, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_there(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Brings everything up; the clock runs."""
        raise NotImplementedError

    def stop(self) -> None:
        """Returns when no worker is left; the clock runs."""
        raise NotImplementedError

    def daemons(self) -> list[int]:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class Supervisord(Peer):
    name = "supervisord"

    def is_there(self) -> bool:
        return self.find("supervisord")

    def start(self) -> None:
        self.config = self.home / "supervisord.conf"
        self.config.write_text(
            f"[unix_http_server]\nfile={self.home}/socket\n"
            f"[supervisord]\nlogfile={self.home}/log\npidfile={self.home}/pid\nchildlogdir={self.home}\nminfds=4096\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{self.home}/socket\n"
            f"[program:w]\ncommand={' '.join(self.command)}\nprocess_name=%(program_name)s_%(process_num)d\n"
            f"numprocs={self.count}\nstartsecs=0\nautorestart=true\n")
        self.run("/usr/bin/python3", shutil.which("supervisord", path=self.env["PATH"]), "-c", str(self.config))

    def stop(self) -> None:
        self.run("/usr/bin/python3", shutil.which("supervisorctl", path=self.env["PATH"]), "-c", str(self.config), "stop",
                 "all")

    def daemons(self) -> list[int]:
        return [int((self.home / "pid").read_text())]

    def end(self) -> None:
        figures.end_process(self.daemons()[0])


class Directory(Peer):
    """Those that watch a directory with a folder for each service."""

    def write_services(self) -> list[str]:
        self.services = self.home / "services"
        for i in range(self.count):
            folder = self.services / f"w{i}"
            folder.mkdir(parents=True)
            script = folder / "run"
            script.write_text(f"#!/bin/sh\nexec {' '.join(self.command)}\n")
            script.chmod(0o755)
        return [str(folder) for folder in sorted(self.services.iterdir())]

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.folders = self.write_services()

    def daemons(self) -> list[int]:
        return [self.process.pid] + figures.children(self.process.pid)


class Runit(Directory):
    name = "runit"

    def is_there(self) -> bool:
        return self.find("runsvdir")

    def start(self) -> None:
        self.process = self.spawn("runsvdir", "-P", str(self.services))

    def stop(self) -> None:
        self.run("sv", "-w", "30", "stop", *self.folders)

    def end(self) -> None:
        self.process.send_signal(signal.SIGHUP)
        self.process.wait()


class S6(Directory):
    name = "s6"

    def is_there(self) -> bool:
        return self.find("s6-svscan")

    def start(self) -> None:
        self.process = self.spawn("s6-svscan", str(self.services))

    def stop(self) -> None:
        for folder in self.folders:
            self.run("s6-svc", "-d", folder)
        self.run("s6-svwait", "-D", *self.folders)

    def end(self) -> None:
        self.run("s6-svscanctl", "-t", str(self.services))
        self.process.wait()


class Pm2(Peer):
    name = "PM2"
    pause = 0.1

    def is_there(self) -> bool:
        return self.find("pm2")

    def start(self) -> None:
        program, marks = self.command
        self.run("pm2", "start", program, "--name", "w", "-i", str(self.count), "--interpreter", "none", "--", marks)

    def stop(self) -> None:
        self.run("pm2", "stop", "w")

    def daemons(self) -> list[int]:
        return [int((self.home / "pm2.pid").read_text())]

    def end(self) -> None:
        self.run("pm2", "kill")


KINDS = [Supervisord, Runit, S6, Pm2]


def measure_one(peer: Peer, idle: float, kills: int) -> list[str]:
    """The cells of its row: start, crash, memory, wake-ups, stop."""
    begin = time.monotonic()
    peer.start()
    peer.marks.wait_for(peer.count, seconds=120)
    started = max(at for _, at in peer.marks.read()) - begin
    latencies = []
    for i in range(kills):
        figures.pause(peer.pause)
        pid, _ = peer.marks.read()[-1]
        struck = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        peer.marks.wait_for(peer.count + i + 1, seconds=30)
        latencies.append(peer.marks.read()[-1][1] - struck)
    memory = figures.pss_kib(peer.daemons())
    before = figures.switches(peer.daemons())
    figures.pause(idle)
    wakeups = figures.switches(peer.daemons()) - before
    begin = time.monotonic()
    peer.stop()
    stopped = time.monotonic() - begin
    return [f"{started * 1e3:.0f} ms", f"{statistics.median(latencies) * 1e3:.1f} ms", f"{stopped * 1e3:.0f} ms",
            f"{memory / 1024:.1f} MiB", str(wakeups)]


def measure(root: pathlib.Path, scratch: pathlib.Path, worker: pathlib.Path, idle: float, count: int = 100) -> None:
    head = ["start", "crash to new", "stop", "memory", f"wake-ups in {idle:.0f} s"]
    print(f"\n{f'{count} workers':<16}" + "".join(f"{cell:>18}" for cell in head))
    for kind in KINDS:
        peer = kind(root, scratch, worker, count)
        if not peer.is_there():
            print(f"{kind.name:<16}{'not here':>18}")
            continue
        try:
            cells = measure_one(peer, idle, kills=5)
            print(f"{kind.name:<16}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"{kind.name:<16} {error}", file=sys.stderr)
        finally:
            peer.end()

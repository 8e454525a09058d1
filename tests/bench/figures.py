"""What is read off processes and files: marks of starts, memory, CPU time, wake-ups."""
import os
import pathlib
import select
import signal
import struct
import time

MARK_BYTES = 16


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


class Marks:
    """A file in which each run of tests/bench/mark.cpp notes its pid and the instant of its start."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def clear(self) -> None:
        self.path.write_bytes(b"")

    def read(self) -> list[tuple[int, float]]:
        return [(pid, ns * 1e-9) for pid, ns in struct.iter_unpack("qq", self.path.read_bytes())]

    def count(self) -> int:
        return self.path.stat().st_size // MARK_BYTES if self.path.exists() else 0

    def wait_for(self, count: int, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while self.count() < count:
            if time.monotonic() > limit:
                raise RuntimeError(f"{self.count()} of {count} marks")
            pause(0.0005)  # the marks carry the time; a busy wait would take a core from what is measured


def memory_directory() -> str | None:
    """Where a runtime directory lies on a Debian that systemd has booted: on a tmpfs, as /run is."""
    mounts = {fields[1]: fields[2] for fields in map(str.split, open("/proc/mounts", encoding="utf-8"))}
    return next((path for path in ("/run", "/dev/shm") if mounts.get(path) == "tmpfs"), None)


def total_bytes(log: pathlib.Path) -> int:
    """Of a log and its archives. One that is renamed meanwhile is counted at the next look."""
    total = 0
    for file in log.parent.glob(log.stem + "*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total


def cpu_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def pss_kib(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def switches(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def children(pid: int) -> list[int]:
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end_process(pid: int) -> None:
    """SIGTERM, and waits: also for one that is no child of ours."""
    os.kill(pid, signal.SIGTERM)
    handle = os.pidfd_open(pid)
    try:
        select.select([handle], [], [], 60)
    finally:
        os.close(handle)

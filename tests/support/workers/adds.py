"""adds.py TARGET KILLS DOOMED FIRST LEDGERS: adds.js in Python, with the same ledgers."""

import os
import signal
import struct
import sys

import clusterd

target, kills, doomed, first = map(int, sys.argv[1:5])
instance = int(os.environ["CLUSTER_INSTANCE"])
bit = 1 << (40 + first + instance)
shared = clusterd.counter("wish")
file = os.open(f"{sys.argv[5]}/{first + instance}", os.O_RDWR | os.O_CREAT, 0o600)


def note(at, number):
    os.pwrite(file, struct.pack("=Q", number), at)


done, _, runs = struct.unpack("=QQQ", os.pread(file, 24, 0).ljust(24, b"\0"))
is_odd = shared.get() & bit != 0
if is_odd != (done % 2 == 1):
    done -= 1
run = runs + 1
note(16, run)

is_doomed = instance < doomed and run <= kills
limit = target * run // (kills + 1) if is_doomed else target
while done < limit:
    note(0, done + 1)
    shared.add(1 + bit if done % 2 == 0 else 1 - bit)
    done += 1
while is_doomed:
    signal.pause()
note(8, done)

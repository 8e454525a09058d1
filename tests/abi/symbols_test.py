#!/usr/bin/env python3
"""symbols_test.py LIBRARY HEADER: the library shows the functions of the header, each with a version, and nothing else."""

import re
import subprocess
import sys

library, header = sys.argv[1:]
with open(header, encoding="utf-8") as file:
    text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
declared = set(re.findall(r"\b(cluster_\w+)\(", text))
lines = subprocess.run(["nm", "--dynamic", "--defined-only", "--with-symbol-versions", library], check=True,
                       capture_output=True, text=True).stdout.splitlines()
shown = {line.split()[-1] for line in lines if " A " not in line}
expected = {f"{name}@@CLUSTER_0.1" for name in declared}
if len(declared) < 20 or shown != expected:
    sys.exit(f"missing: {sorted(expected - shown)}\nin excess: {sorted(shown - expected)}")
needed = re.findall(r"Shared library: \[(.*?)\]", subprocess.run(
    ["readelf", "--dynamic", library], check=True, capture_output=True, text=True).stdout)
strangers = [name for name in needed if not name.startswith(("libc.so", "ld-linux"))]
if strangers:
    sys.exit(f"it needs {strangers}")
print(f"{len(shown)} symbols")

#!/usr/bin/env bash
# Measures clusterd beside a floor (tests/bench/floor.cpp: vfork, exec, waitpid) in the same run, and prints one table of
# ratios. Takes some minutes; wants a quiet machine. Options are those of bench.py.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
bash packaging/install-build-deps.sh --tests
cmake --preset bench >/dev/null
cmake --build --preset bench --target clusterd cluster-supervisor clusterctl bench_floor bench_mark >/dev/null
exec python3 tests/bench/bench.py --build build/bench "$@"

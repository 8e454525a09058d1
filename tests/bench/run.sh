#!/usr/bin/env bash
# Measures clusterd beside a floor (tests/bench/floor.cpp: vfork, exec, waitpid) in the same run, and prints one table of
# ratios; then supervisord, runit, s6 and PM2 with the same workers. Takes some minutes; wants a quiet machine.
#
#   bash tests/bench/run.sh [--no-peers] [OPTION of bench.py…]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
bash packaging/install-build-deps.sh --tests
cmake --preset bench >/dev/null
cmake --build --preset bench --target clusterd cluster-supervisor clusterctl bench_floor bench_mark >/dev/null
options=()
if [ "${1:-}" = --no-peers ]; then
    shift
else
    bash tests/bench/peers.sh build/bench/peers
    options=(--peers build/bench/peers)
fi
exec python3 -B tests/bench/bench.py --build build/bench "${options[@]}" "$@"

#!/usr/bin/env bash
# Measures the shared store beside a map in one process, LMDB, Redis, memcached and Node's messages in the same run, with one
# process and with two, and prints one table with the targets. Takes some minutes; wants a quiet machine.
# Options are those of store/table.py.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
bash packaging/install-build-deps.sh --tests
cmake --preset bench >/dev/null
cmake --build --preset bench --target bench_store bench_empty with_store cluster_shared node_package python_package >/dev/null
exec python3 tests/bench/store/table.py --build build/bench "$@"

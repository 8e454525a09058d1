#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each of them for some seconds on its corpus.
#
#   bash tests/fuzz/run.sh [SECONDS] [NAME…]      default: 10 seconds each, all of them
#
# New inputs stay in build/fuzz/corpus; those of a crash in build/fuzz/crashes, with the command that replays them.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-10}
shift || true
if [ $# -eq 0 ]; then set -- wire plan estate json ctl conf channel message nodecluster notify state remembered; fi
case $seconds in
    '' | *[!0-9]*) echo "usage: bash tests/fuzz/run.sh [SECONDS] [NAME…]" >&2; exit 2 ;;
esac

compiler=
for candidate in clang++-14 clang++; do
    if command -v "$candidate" >/dev/null; then compiler=$candidate; break; fi
done
if [ -z "$compiler" ]; then
    echo "fuzz: no clang++ here; on Debian: apt-get install clang-14 libclang-rt-14-dev" >&2
    exit 1
fi

# Optimised a little: a fuzzer is worth what it executes in a second.
cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" -DCLUSTER_FUZZ=ON \
    -DCLUSTER_SANITIZE=fuzzer-no-link,address,undefined >/dev/null
cmake --build build/fuzz --target "${@/%/_fuzz}"

failed=0
for name in "$@"; do
    mkdir -p "build/fuzz/corpus/$name" build/fuzz/crashes
    printf '\n==> %s for %s s\n' "$name" "$seconds"
    dictionary=()
    if [ -f "tests/fuzz/$name.dict" ]; then dictionary=("-dict=tests/fuzz/$name.dict"); fi
    corpora=("build/fuzz/corpus/$name" "tests/fuzz/corpus/$name")
    if [ "$name" = conf ]; then corpora+=(config); fi  # what we ship is a corpus too
    log=build/fuzz/$name.log
    if "build/fuzz/tests/fuzz/${name}_fuzz" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 "-artifact_prefix=build/fuzz/crashes/$name-" "${dictionary[@]}" \
        "${corpora[@]}" >"$log" 2>&1; then
        grep '^stat::\(number_of\|new_units\|slowest\)' "$log"
    else
        tail -n 60 "$log"
        echo "fuzz: $name FAILED; replay: build/fuzz/tests/fuzz/${name}_fuzz build/fuzz/crashes/$name-…" >&2
        failed=$((failed + 1))
    fi
done
printf '\nfuzz: %d targets, %d failed\n' $# "$failed"
[ "$failed" -eq 0 ]

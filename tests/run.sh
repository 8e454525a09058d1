#!/usr/bin/env bash
# Builds and runs every test, as CI does: the laws of the house (.ci/rooms.py), the optimised build
# with all tests, a moment of fuzzing, then unit and end-to-end tests under the address and
# undefined-behaviour sanitizers, and those of the store under the thread sanitizer.
# The last line is "N passed, N failed"; the exit code is 0 only if nothing failed.
#
#   --quick     the optimised build only
#   -R REGEX    only tests whose name matches, passed on to ctest
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

quick=no
ctest_options=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=yes ;;
        -R)
            if [ $# -lt 2 ]; then usage >&2; exit 2; fi
            ctest_options+=(-R "$2")
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

passed=0
failed=0
skipped=0
failures=()  # their names, said again at the end

# fail NAME: one check that failed.
fail() {
    echo "FAILED: $1"
    failed=$((failed + 1))
    failures+=("$1")
}

# step NAME COMMAND…: one check that is not a ctest test; counts as one.
step() {
    local name=$1
    shift
    printf '\n==> %s\n' "$name"
    if "$@"; then
        passed=$((passed + 1))
    else
        fail "$name"
    fi
}

# build PRESET: configures and builds. A build that fails counts as one failed test.
build() {
    printf '\n==> building preset %s\n' "$1"
    if cmake --preset "$1" >"$logs/$1.configure" 2>&1; then :; else
        cat "$logs/$1.configure"
        fail "configure $1"
        return 1
    fi
    local preset=$1
    shift
    if cmake --build --preset "$preset" "$@"; then :; else
        fail "build $preset"
        return 1
    fi
}

# attribute NAME FILE: a number in the head of ctest's JUnit report.
attribute() {
    sed -n "0,/<testcase/s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1
}

# names STATUS FILE: the tests of ctest's JUnit report that ended so: fail, notrun (skipped), run.
names() {
    sed -n "s/.*<testcase name=\"\([^\"]*\)\".*status=\"$1\".*/\1/p" "$2"
}

# run_tests PRESET [ctest option…]: runs ctest in parallel and adds its own counts up.
run_tests() {
    local preset=$1 report=$logs/$1.xml
    shift
    printf '\n==> testing preset %s\n' "$preset"
    local code=0 none=error
    if [ ${#ctest_options[@]} -gt 0 ]; then none=ignore; fi
    # Real processes on a machine with other things to do: what fails once may try again, visibly.
    ctest --test-dir "build/$preset" --output-on-failure --parallel "$jobs" --timeout 300 \
        --repeat until-pass:3 \
        "--no-tests=$none" --output-junit "$report" "${ctest_options[@]}" "$@" || code=$?
    local tests=0 failed_here=0 skips=0
    if [ -s "$report" ]; then
        tests=$(attribute tests "$report")
        failed_here=$(attribute failures "$report")
        skips=$(attribute skipped "$report")
    fi
    passed=$((passed + tests - failed_here - skips))
    failed=$((failed + failed_here))
    if [ "$failed_here" -gt 0 ]; then
        while IFS= read -r name; do failures+=("$preset: $name"); done < <(names fail "$report")
    fi
    skipped=$((skipped + skips))
    # ctest that failed without a failed test (no test found, a crash of ctest) is a failure too.
    if [ "$code" -ne 0 ] && [ "$failed_here" -eq 0 ]; then fail "ctest of preset $preset"; fi
    if [ "$skips" -gt 0 ]; then
        echo "SKIPPED under preset $preset:"
        names notrun "$report" | sed 's/^/    /'
    fi
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# Most end-to-end tests wait for processes rather than compute, so twice the processors keeps them
# busy.
jobs=$(($(nproc) * 2))

bash packaging/install-build-deps.sh --tests

step "rooms: the laws of the house" python3 .ci/rooms.py
step "rooms: the checker checks" python3 .ci/rooms.py --self-test
if build test; then run_tests test; fi
if [ "$quick" = no ]; then
    # A moment for each; longer by hand: bash tests/fuzz/run.sh SECONDS.
    step "fuzz: every target on its corpus" bash tests/fuzz/run.sh 4
    # All unit tests, and the end-to-end tests with the programs and workers that they run.
    if build asan --target sanitized; then run_tests asan -L '^(unit|abi|e2e)$'; fi
    # Threads of one process over one store. Nothing else here has more than one thread.
    if build tsan --target unit_store abi_sanitized with_store; then run_tests tsan -L '^threads$'; fi
fi

echo
for name in "${failures[@]}"; do echo "FAILED: $name"; done
if [ "$skipped" -gt 0 ]; then echo "$skipped skipped"; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# every_case.sh NODE TESTS [WRAPPER]: every case of these tests under that Node, each started by the wrapper if there is one.
set -euo pipefail
node=$1 tests=$2 wrapper=${3:-}
[ -x "$node" ] || { echo "SKIPPED: no Node at $node (npm was not reached)"; exit 0; }
"$node" --version
failed=0
while read -r name; do
    if output=$(${wrapper:+"$wrapper"} "$node" "$tests" "$name" 2>&1); then
        echo "$name: passed ${output##*$'\n'}"
    else
        failed=1
        echo "$name: FAILED"
        echo "$output"
    fi
done < <(sed -n 's/^cases\.\([a-z0-9_]*\) = .*/\1/p' "$tests")
exit $failed

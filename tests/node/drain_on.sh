#!/usr/bin/env bash
# drain_on.sh NODE TESTS: every case of drain_test.js under that Node.
set -euo pipefail
node=$1 tests=$2
[ -x "$node" ] || { echo "SKIPPED: no Node at $node (npm was not reached)"; exit 0; }
"$node" --version
failed=0
while read -r name; do
    if output=$("$node" "$tests" "$name" 2>&1); then
        echo "$name: passed ${output##*$'\n'}"
    else
        failed=1
        echo "$name: FAILED"
        echo "$output"
    fi
done < <(sed -n 's/^cases\.\([a-z0-9_]*\) = .*/\1/p' "$tests")
exit $failed

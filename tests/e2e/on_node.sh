#!/usr/bin/env bash
# on_node.sh NODE E2E CASES: end-to-end cases with the real daemon, with that Node as the one in PATH.
set -euo pipefail
node=$1 e2e=$2 cases=$3
[ -x "$node" ] || { echo "SKIPPED: no Node at $node (npm was not reached)"; exit 0; }
"$node" --version
PATH=$(dirname "$(readlink -f "$node")"):$PATH exec "$e2e" "-tc=$cases"

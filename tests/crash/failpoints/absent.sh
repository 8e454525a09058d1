#!/usr/bin/env bash
# absent.sh CONTROL OBJECT…: CONTROL was built with failpoints, the OBJECTs without.
# Looks for the functions and for the names that arm them.
set -euo pipefail

# Status 0: there is a trace of failpoints in the file.
has_failpoints() {
    nm --demangle "$1" | grep -q 'injected_error' ||
        grep -q -a -e 'CLUSTER_FAILPOINTS' -e 'intent_written' -e 'record_torn' "$1"
}

control=$1
shift
if ! has_failpoints "$control"; then
    echo "absent.sh: $control has none either, so this proves nothing" >&2
    exit 1
fi
if [ $# -eq 0 ]; then
    echo "absent.sh: no object files to look at" >&2
    exit 1
fi
for object in "$@"; do
    if has_failpoints "$object"; then
        echo "absent.sh: failpoints in $object" >&2
        exit 1
    fi
done
echo "no failpoints in $# files"

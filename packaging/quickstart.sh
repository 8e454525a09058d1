#!/usr/bin/env bash
# From a fresh Debian machine to running workers: installs the build dependencies, builds, starts
# config/quickstart.toml in the background and says what to type next.
#
# May be run again at any time: what is installed, built and running stays as it is.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
ctl=$root/build/release/bin/clusterctl
config=$root/config/quickstart.toml

say() { printf '\n==> %s\n' "$*"; }

say "build dependencies"
bash packaging/install-build-deps.sh

say "building (some minutes the first time, seconds from then on)"
configure_log=$(mktemp)
trap 'rm -f "$configure_log"' EXIT
if ! cmake --preset release >"$configure_log" 2>&1; then
    cat "$configure_log" >&2
    echo "quickstart: cmake could not configure the build; see above" >&2
    exit 1
fi
cmake --build --preset release

say "starting the workers of config/quickstart.toml"
code=0
"$ctl" start "$config" || code=$?
if [ "$code" -ne 0 ]; then
    cat >&2 <<TEXT

quickstart: the start above ended with code $code (1: a worker failed, 2: bad config, 3: no daemon).
Look at what the workers wrote:

    $ctl logs
TEXT
    exit "$code"
fi

cat <<TEXT

The daemon and its workers run in the background. What to type next:

    $ctl status
    $ctl logs -f
    $ctl scale web 6
    $ctl stop all
    $ctl shutdown

'shutdown' ends the daemon and every worker. The file to play with is
$config; after a change, start it again:

    $ctl start $config
TEXT

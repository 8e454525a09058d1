#!/usr/bin/env bash
# Fetches the peers that tests/bench/peers.py measures into a directory of their own: supervisor and runit out of their Debian
# packages, PM2 from npm; nothing is started. s6 works in no other place than /usr/bin, so that one is installed when root
# runs this, and left out otherwise.
#
#   bash tests/bench/peers.sh DIRECTORY
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: bash tests/bench/peers.sh DIRECTORY" >&2
    exit 2
fi
mkdir -p "$1"
cd "$1"
if [ -e .fetched ]; then exit 0; fi

mkdir -p packages
(
    cd packages
    apt-get download --quiet --quiet supervisor python3-pkg-resources runit
)
for package in packages/*.deb; do dpkg-deb --extract "$package" .; done
if [ "$(id -u)" -eq 0 ] && ! command -v s6-supervise >/dev/null; then
    apt-get install --yes --quiet --quiet --no-install-recommends s6 >/dev/null
fi
if command -v npm >/dev/null; then
    mkdir -p node
    (cd node && npm install --no-audit --no-fund --ignore-scripts pm2 >/dev/null)
else
    echo "peers: no npm here, so PM2 is left out" >&2
fi
touch .fetched

#!/usr/bin/env bash
# fetch.sh PLACE: what the tests of Node workers take from npm's registry, where that is reached: frameworks, and other versions
# of Node, as PLACE/node-VERSION. What is there already stays.
set -euo pipefail
place=$1
mkdir -p "$place"
cd "$place"
[ -f package.json ] || echo '{ "private": true }' >package.json

# fetch DIRECTORY PACKAGE…
fetch() {
    local directory=$1
    shift
    npm install --prefix "$directory" --no-audit --no-fund --silent --fetch-retries 0 --fetch-timeout 30000 "$@"
}

command -v npm >/dev/null || { echo "SKIPPED: no npm"; exit 0; }
[ -d node_modules/fastify ] || timeout 100 npm view express version --fetch-retries 0 --fetch-timeout 10000 >/dev/null 2>&1 ||
    { echo "SKIPPED: npm reaches no registry"; exit 0; }
[ -d node_modules/fastify ] || fetch . express fastify
cpu=$(node -p process.arch)
for version in 18 22 24; do
    [ ! -x "node-$version" ] || continue
    fetch "$place/versions/$version" "node-linux-$cpu@$version"
    ln -sfn "versions/$version/node_modules/node-linux-$cpu/bin/node" "node-$version"
    "./node-$version" --version
done

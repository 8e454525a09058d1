#!/usr/bin/env bash
# install.sh TARBALL PLACE: installs the package as a user does, without a compiler and without the network.
set -euo pipefail
tarball=$1 place=$2
rm -rf "$place"
mkdir -p "$place"
cd "$place"
if command -v npm >/dev/null; then
    echo '{ "private": true }' >package.json
    CC=/bin/false CXX=/bin/false npm install --offline --no-audit --no-fund --cache "$place/cache" "$tarball"
else
    # What npm does with it, where there is no npm beside Node.
    mkdir -p node_modules/clusterd
    tar xzf "$tarball" -C node_modules/clusterd --strip-components=1
fi
test -f node_modules/clusterd/index.d.ts

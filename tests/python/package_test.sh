#!/usr/bin/env bash
# package_test.sh PYTHON SOURCE STAGE PLACE LIBRARY WITH_STORE: pip installs the package without a compiler and
# without the network, and it works from there, with a library beside it, and the extension if it was built.
set -euo pipefail
python=$1 source=$2 stage=$3 place=$4 library=$5 with_store=$6
if ! "$python" -c 'import setuptools, wheel, pip' 2>/dev/null; then
    echo "SKIPPED: $python has no pip, setuptools and wheel"
    exit 0
fi
rm -rf "$place"
mkdir -p "$place"
cp -r "$source" "$place/source"
cp -L "$library" "$place/source/clusterd/libcluster.so.0"
counting=clusterd._calls
if [ -f "$stage/clusterd/_fast.abi3.so" ]; then
    cp "$stage/clusterd/_fast.abi3.so" "$place/source/clusterd/"
    counting=clusterd._fast
fi
export CC=/bin/false PYTHONPATH= LIBCLUSTER_PATH=
"$python" -m pip install --quiet --no-index --no-build-isolation --no-deps --disable-pip-version-check \
    --root-user-action ignore --target "$place/installed" "$place/source"
test -f "$place/installed/clusterd/py.typed"
cd "$place/installed"
COUNTING=$counting "$with_store" "$python" -c '
import clusterd, os
assert clusterd._calls.CounterCalls.__module__ == os.environ["COUNTING"]
assert os.path.dirname(clusterd.__file__).endswith("installed/clusterd")
assert clusterd.counter("n").add(5) == 5
'

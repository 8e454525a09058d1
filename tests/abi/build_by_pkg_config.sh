#!/usr/bin/env bash
# build_by_pkg_config.sh PREFIX OUTPUT SOURCE…: what a user types, and the header as C++ too.
set -euo pipefail
prefix=$1 output=$2
shift 2
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name libcluster.pc)")
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --cflags libcluster)"
read -ra libs <<<"$(pkg-config --libs libcluster)"
pkg-config --exact-version=0.1.0 libcluster
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -pedantic "${flags[@]}" -o "$output" "$@" \
    "${libs[@]}" -Wl,-rpath,"$(pkg-config --variable=libdir libcluster)" -pthread
echo '#include <cluster.h>' | "${CXX:-c++}" -std=c++11 -Wall -Wextra -Werror -pedantic \
    -fvisibility=hidden "${flags[@]}" -fsyntax-only -x c++ -

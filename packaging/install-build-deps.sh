#!/usr/bin/env bash
# Installs what clusterd is built with, from Debian packages; with --tests also what its tests run.
#
# Asks dpkg first, so that a second run takes no time and touches no network. A package is skipped
# when the command that it is wanted for is there already, wherever it came from. The servers that
# the tests use are installed without being started or enabled as services of this machine.
set -euo pipefail

usage() {
    echo "usage: bash packaging/install-build-deps.sh [--tests]"
}

with_tests=no
for argument in "$@"; do
    case $argument in
        --tests) with_tests=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# want LIST PACKAGE [COMMAND]: adds PACKAGE to the array LIST unless it or COMMAND is there.
want() {
    local -n list=$1
    if is_installed "$2"; then return; fi
    if [ $# -eq 3 ] && PATH=$PATH:/usr/sbin:/sbin command -v "$3" >/dev/null; then return; fi
    list+=("$2")
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install-build-deps: this machine has no apt-get; install by hand what the list in $0 names" >&2
    exit 1
fi

packages=()
want packages g++ g++
want packages cmake cmake
want packages ninja-build ninja
want packages ccache ccache
want packages git git
want packages pkg-config pkg-config
for library in libcli11-dev libspdlog-dev libfmt-dev libtomlplusplus-dev nlohmann-json3-dev \
    libexpected-dev; do
    want packages "$library"
done

servers=()
if [ "$with_tests" = yes ]; then
    want packages doctest-dev
    want packages python3 python3
    want packages python3-pip
    want packages nodejs node
    # The headers of Node-API; a Node that did not come from Debian brings its own.
    if ! ls "$(dirname "$(readlink -f "$(command -v node || echo /)")")"/../include/node/node_api.h >/dev/null 2>&1; then
        want packages libnode-dev
    fi
    # The header of the Python package's extension, and one of those that the store is measured beside.
    want packages python3-dev
    want packages liblmdb-dev
    want packages curl curl
    want packages python3-jsonschema
    want packages python3-tomli
    want packages dpkg-dev dpkg-shlibdeps
    want packages file file
    want packages lintian lintian
    want packages zsh zsh
    want packages fish fish
    want packages debootstrap debootstrap
    want packages clang-14 clang++-14
    want packages libclang-rt-14-dev
    want servers redis-server redis-server
    want servers memcached memcached
    want servers nginx-light nginx
    want servers gunicorn gunicorn
    want servers postgresql pg_isready
    want servers uvicorn uvicorn
    want servers haproxy haproxy
    want servers php8.2-fpm php-fpm8.2
    want servers uwsgi-core uwsgi-core
    want servers uwsgi-plugin-python3
    want servers wrk wrk
fi

if [ ${#packages[@]} -eq 0 ] && [ ${#servers[@]} -eq 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-build-deps: not root and no sudo here. Ask an administrator for:" >&2
        echo "    apt-get install --no-install-recommends ${packages[*]} ${servers[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

apt_install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet \
        --no-install-recommends --no-upgrade "$@" </dev/null
}

# The package lists of a fresh container are empty or too old to fetch from: refresh them once,
# and only then.
refreshed=no
install() {
    if [ "$refreshed" = no ] && ! apt_install --simulate "$@" >/dev/null 2>&1; then
        "${as_root[@]}" apt-get update --quiet --quiet
        refreshed=yes
    fi
    if apt_install "$@"; then return; fi
    if [ "$refreshed" = yes ]; then return 1; fi
    "${as_root[@]}" apt-get update --quiet --quiet
    refreshed=yes
    apt_install "$@"
}

echo "installing: ${packages[*]} ${servers[*]}"
if [ ${#packages[@]} -gt 0 ]; then install "${packages[@]}"; fi

# A server's package would start and enable its service. Its maintainer scripts ask these four
# programs to do so, found through the PATH that apt gives to dpkg; here they answer yes and do
# nothing. Nothing that already runs or is configured on this machine is touched.
if [ ${#servers[@]} -gt 0 ]; then
    guard=$(mktemp -d /tmp/clusterd-no-services.XXXXXX)
    trap 'rm -rf "$guard"' EXIT
    for program in invoke-rc.d update-rc.d deb-systemd-invoke deb-systemd-helper; do
        printf '#!/bin/sh\nexit 0\n' >"$guard/$program"
    done
    chmod -R a+rX,u+w "$guard"
    chmod a+x "$guard"/*
    install -o "DPkg::Path=$guard:/usr/sbin:/usr/bin:/sbin:/bin" "${servers[@]}"
fi

#!/usr/bin/env bash
# The Debian packages, as somebody gets them who installs them.
#
#   deb_test.sh lintian BUILD    no errors, no warnings
#   deb_test.sh life BUILD       in a minimal Debian made by debootstrap: install, run a worker, upgrade under it,
#                                replace the supervisor, build against the library, remove, purge
#   deb_test.sh systemd BUILD    the same with systemd as process 1 of namespaces: enabled, started, upgraded, killed,
#                                reloaded, restarted, stopped by a removal; then clusterctl startup without a package
#
# Makes everything in a directory of its own, and leaves nothing behind. Says SKIPPED and why where it cannot run.
set -euo pipefail

case=$1
build=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() {
    echo "SKIPPED: $*"
    exit 0
}

need() {
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || skip "no $1; packaging/install-build-deps.sh --tests installs it"
}

case $case in
    lintian | life | systemd) ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac

work=$(mktemp -d /tmp/clusterd-deb.XXXXXX)
# What stands below a mount is never removed.
trap 'mountpoint -q "$work/root/proc" || rm -rf --one-file-system "$work"' EXIT

# pack RELEASE: the packages, as $work/RELEASE/*.deb.
pack() {
    if ! cpack --config "$build/CPackConfig.cmake" -D "CPACK_DEBIAN_PACKAGE_RELEASE=$1" -B "$work/$1" \
        >"$work/cpack.log" 2>&1; then
        cat "$work/cpack.log"
        exit 1
    fi
    rm -rf "$work/$1/_CPack_Packages"
}

need dpkg-deb
need dpkg-shlibdeps
need file

if [ "$case" = lintian ]; then
    need lintian
    pack 1
    ls "$work/1"
    lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$work"/1/*.deb
    exit
fi

[ "$(id -u)" -eq 0 ] || skip "needs root, for a root directory of its own"
need debootstrap
need unshare
unshare --mount --pid --fork true 2>/dev/null || skip "may not make namespaces here"
pack 1
pack 2

# From where this machine gets its packages; debootstrap has a default of its own.
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    sed -n "s/^$suite //p" | head -n 1)
root=$work/root
packages=
if [ "$case" = systemd ]; then packages=--include=systemd; fi
if ! PATH=$PATH:/usr/sbin:/sbin timeout 400 debootstrap --variant=minbase $packages "$suite" "$root" \
    ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1; then
    skip "debootstrap made no root: $(tail -n 1 "$work/debootstrap.log")"
fi

# The root does not live long enough to be synchronised with a disk.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/quick"
mkdir "$root/packages"
mv "$work/1" "$work/2" "$root/packages/"
cp "$here/life.sh" "$here/service.sh" "$root/"

if [ "$case" = systemd ]; then
    # What the service of the test says goes to a file; then it ends the system, and with it the namespaces.
    cat >"$root/etc/systemd/system/packages-test.service" <<UNIT
[Service]
ExecStart=/bin/bash /service.sh
ExecStopPost=/bin/systemctl --force --force poweroff
StandardOutput=append:/said
StandardError=inherit
TimeoutStartSec=120
Type=oneshot
UNIT
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s ../packages-test.service "$root/etc/systemd/system/multi-user.target.wants/"
    timeout --signal=KILL 240 unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup \
        bash "$here/boot.sh" "$root" >"$work/boot.log" 2>&1 </dev/null || true
    if [ ! -s "$root/said" ]; then skip "systemd does not run here: $(tail -n 1 "$work/boot.log")"; fi
    cat "$root/said"
    grep -qx '== done' "$root/said"
    exit
fi

# A program of somebody else, compiled with what libcluster-dev brings.
mkdir "$work/dev"
for package in "$root"/packages/1/libcluster*.deb; do dpkg-deb -x "$package" "$work/dev"; done
library=$(dirname "$(find "$work/dev" -name libcluster.so)")
"${CC:-cc}" -Wall -Werror -std=c11 -I"$work/dev/usr/include" "$here/counts.c" -L"$library" -lcluster \
    -o "$root/usr/local/bin/counts"

# In a pid namespace of its own: whatever it starts ends with it.
unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" /bin/bash /life.sh </dev/null

#!/usr/bin/env bash
# boot.sh ROOT: makes systemd process 1 of the namespaces that deb_test.sh has made. It sees the kernel's settings and
# devices read-only, as in a container, so that it changes nothing of the machine.
set -euo pipefail
root=$1
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
cd "$root"
exec chroot "$root" /usr/bin/env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --log-target=console --show-status=no

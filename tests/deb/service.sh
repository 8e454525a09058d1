#!/usr/bin/env bash
# The service of the packages, seen by systemd itself. Run as a unit in a clean root that deb_test.sh has booted.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root

fail() {
    echo "FAILED: $*"
    systemctl status --no-pager --full clusterd || true
    exit 1
}

echo "== install"
apt-get install --quiet --quiet --yes --no-install-recommends /packages/1/*.deb 2>&1
systemctl --quiet is-enabled clusterd || fail "not enabled"
systemctl --quiet is-active clusterd || fail "not started"
systemd-analyze verify --man=no clusterd.service || fail "the unit has mistakes"

echo "== upgrade"
clusterctl start --name w -- tail -f /dev/null
pid=$(clusterctl pid w)
keeper=$(systemctl show --property=MainPID --value clusterd)
dpkg --install /packages/2/*.deb 2>&1
[ "$(clusterctl pid w)" = "$pid" ] || fail "the upgrade restarted a worker"
[ "$(systemctl show --property=MainPID --value clusterd)" = "$keeper" ] || fail "the upgrade restarted the daemon"

echo "== reload, restart"
systemctl reload clusterd
[ "$(clusterctl pid w)" = "$pid" ] || fail "the reload restarted a worker"
systemctl restart clusterd
[ -n "$(clusterctl pid w)" ] || fail "the worker did not come back"
[ "$(clusterctl pid w)" != "$pid" ] || fail "the restart restarted nothing"
pid=$(clusterctl pid w)

echo "== remove"
dpkg --remove clusterd 2>&1
[ ! -e "/proc/$pid" ] || fail "a worker outlived the removal"
if systemctl --quiet is-active clusterd; then fail "the service outlived the removal"; fi
dpkg --purge clusterd 2>&1
[ ! -e /var/lib/clusterd ] || fail "state is left"
[ ! -e /etc/systemd/system/clusterd.service ] || fail "the unit is still masked"
echo "== done"

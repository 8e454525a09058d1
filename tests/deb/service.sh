#!/usr/bin/env bash
# The service of the packages, seen by systemd itself. Run as a unit in a clean root that deb_test.sh has booted.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root

fail() {
    echo "FAILED: $*"
    systemctl status --no-pager --full clusterd || true
    exit 1
}

main() { systemctl show --property=MainPID --value clusterd; }
# until CONDITION…: a minute at most.
until_true() {
    local limit=$((SECONDS + 60))
    until "$@"; do
        [ $SECONDS -lt $limit ] || fail "does not come true: $*"
        read -r -t 0.05 <> <(:) || true
    done
}
has_other_main() { [ "$(main)" != "$1" ] && [ "$(main)" != 0 ] && systemctl --quiet is-active clusterd; }
# PID CLUSTERCTL…: the service is started when the daemon answers, which may be before its workers run.
has_other_worker() {
    local pid
    pid=$("${@:2}" pid w 2>/dev/null) && [ -n "$pid" ] && [ "$pid" != "$1" ]
}
has_ended() { [ "$(systemctl show --property=ActiveState --value clusterd)" = inactive ]; }
has_worker() { [ "$(clusterctl pid w 2>/dev/null)" = "$1" ]; }

echo "== install"
apt-get install --quiet --quiet --yes --no-install-recommends /packages/1/*.deb 2>&1
systemctl --quiet is-enabled clusterd || fail "not enabled"
systemctl --quiet is-active clusterd || fail "not started"
systemd-analyze verify --man=no clusterd.service || fail "the unit has mistakes"

echo "== upgrade"
clusterctl start --name w -- tail -f /dev/null
pid=$(clusterctl pid w)
keeper=$(main)
dpkg --install /packages/2/*.deb 2>&1
[ "$(clusterctl pid w)" = "$pid" ] || fail "the upgrade restarted a worker"
[ "$(main)" = "$keeper" ] || fail "the upgrade restarted the daemon"
[ "$(clusterctl version --json | grep -c '"successions": 1')" = 1 ] || fail "the running daemon is not the new one"
clusterctl upgrade
[ "$(main)" = "$keeper" ] || fail "clusterctl upgrade changed the main process"
has_worker "$pid" || fail "clusterctl upgrade restarted a worker"

echo "== death"
# The supervisor's, then three times the keeper's: systemd starts another clusterd each time, which tells it the main
# process that took over, and ends.
kill -9 "$(clusterctl version --json | sed -n 's/.*"supervisor_pid": \([0-9]*\).*/\1/p')"
until_true has_worker "$pid"
[ "$(main)" = "$keeper" ] || fail "the supervisor's death changed the main process"
for _ in 1 2 3; do
    keeper=$(main)
    kill -9 "$keeper"
    until_true has_other_main "$keeper"
    until_true has_worker "$pid"
    [ "$(clusterctl version --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" = "$(main)" ] ||
        fail "systemd has another main process than clusterctl"
done

echo "== reload, restart"
systemctl reload clusterd
[ "$(clusterctl pid w)" = "$pid" ] || fail "the reload restarted a worker"
systemctl restart clusterd
until_true has_other_worker "$pid" clusterctl
pid=$(clusterctl pid w)

echo "== remove"
dpkg --remove clusterd 2>&1
[ ! -e "/proc/$pid" ] || fail "a worker outlived the removal"
if systemctl --quiet is-active clusterd; then fail "the service outlived the removal"; fi
dpkg --purge clusterd 2>&1
[ ! -e /var/lib/clusterd ] || fail "state is left"
[ ! -e /etc/systemd/system/clusterd.service ] || fail "the unit is still masked"

echo "== startup of programs that no package brought"
# By the words that it prints.
for package in /packages/2/*.deb; do dpkg-deb --extract "$package" /opt/clusterd; done
own=/opt/clusterd/usr/bin/clusterctl
printf '[worker.w]\ncommand = ["tail", "-f", "/dev/null"]\n' >"$HOME/cluster.toml"
"$own" startup | tee "$HOME/told"
systemctl --quiet is-enabled clusterd || fail "startup enabled nothing"
systemd-analyze verify --man=no clusterd.service || fail "startup's unit has mistakes"
grep -q '^ExecStart="/opt/clusterd/usr/bin/clusterd"$' /etc/systemd/system/clusterd.service || fail "another program"
eval "$(sed -n 's/^to start it now: //p' "$HOME/told")"
systemctl --quiet is-active clusterd || fail "not started"
"$own" start "$HOME/cluster.toml"
pid=$("$own" pid w)
systemctl restart clusterd
until_true has_other_worker "$pid" "$own"
pid=$("$own" pid w)
keeper=$(main)
kill -9 "$keeper"
until_true has_other_main "$keeper"
[ "$("$own" pid w)" = "$pid" ] || fail "the keeper's death restarted a worker"
"$own" shutdown
until_true has_ended
[ ! -e "/proc/$pid" ] || fail "a worker outlived the daemon"
eval "$(sed -n 's/^to undo it: //p' "$HOME/told")"
systemctl daemon-reload
if systemctl --quiet is-enabled clusterd 2>/dev/null; then fail "it is still enabled"; fi
[ ! -e /etc/systemd/system/clusterd.service ] || fail "the unit is left"

echo "== startup --user"
# Without a login manager the user's systemd is started by hand.
useradd --create-home tester
home=/run/user/$(id -u tester)
install --directory --mode=700 --owner=tester /run/user "$home"
systemd-run --quiet --unit=tester-manager --uid=tester --property=Delegate=yes --setenv=XDG_RUNTIME_DIR="$home" \
    --setenv=HOME=/home/tester /lib/systemd/systemd --user
tester() { runuser --user=tester -- env XDG_RUNTIME_DIR="$home" HOME=/home/tester PATH="$PATH" "$@"; }
is_managed() { tester systemctl --user is-active default.target &>/dev/null; }
until_true is_managed
cp "$HOME/cluster.toml" /home/tester/
tester "$own" startup --user | tee "$HOME/told"
tester systemctl --user --quiet is-enabled clusterd || fail "startup --user enabled nothing"
tester sh -c "$(sed -n 's/^to start it now: //p' "$HOME/told")"
tester "$own" start /home/tester/cluster.toml
pid=$(tester "$own" pid w)
[ "$(stat --format=%U "/proc/$pid")" = tester ] || fail "the worker is not the user's"
keeper=$(tester systemctl --user show --property=MainPID --value clusterd)
[ "$(tester "$own" version --json | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')" = "$keeper" ] || fail "another daemon"
tester systemctl --user restart clusterd
until_true has_other_worker "$pid" tester "$own"
tester "$own" shutdown
tester sh -c "$(sed -n 's/^to undo it: //p' "$HOME/told")"
[ ! -e /home/tester/.config/systemd/user/clusterd.service ] || fail "the unit is left"
echo "== done"

#!/usr/bin/env bash
# What goes wrong around a monitor: refused with a reason that names the thing, or survived, counted, with traffic
# passing. Nothing starts half-configured and nothing is lost without a number.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin faults

# Programs of another user must reach the binary and their own folder, nothing else here.
chmod 711 "$work"
cp "$HTG" "$work/guardian"
chmod 755 "$work/guardian"
HTG=$work/guardian

# refused WHAT PATTERN [COMMAND…]: the command, by default `start`, ends by itself, says an error that matches, and
# neither panics nor hangs.
refused() {
    local what=$1 pattern=$2 status=0
    shift 2
    [[ $# -gt 0 ]] || set -- htg start --listen 127.0.0.1:0
    "$@" >"$work/exits.out" 2>"$work/exits.err" </dev/null &
    local pid=$!
    if ! until_true 20 gone "$pid"; then
        kill "$pid" 2>/dev/null || true
        bad "$what: it started, or hangs"
        return
    fi
    wait "$pid" || status=$?
    case $status in
    1 | 64 | 74) says "$what, exit $status" "$pattern" ;;
    *)
        bad "$what: exit $status"
        printable 12 "$work/exits.out" "$work/exits.err" >&2
        ;;
    esac
    if grep -q panicked "$work/exits.err"; then bad "$what: it panicked"; fi
}

# fresh: an empty state folder of a new name.
homes=0
fresh() {
    homes=$((homes + 1))
    home=$work/home$homes
    mkdir -m 700 "$home"
}

no_key() { [[ ! -e $home/keys/signing.key.pem && ! -e $home/signing.pub.pem ]]; }

# === the place ===

fresh
start_origin
refused "port taken" "${origin//./\\.}" htg start --listen "$origin"
refused "not loopback, without leave" 'loopback|allow.remote' htg start --listen 0.0.0.0:0

fresh
chmod 777 "$home"
refused "a state folder others may write" "$home"
check "and no key was made in it" no_key

mkdir -m 777 "$work/open"
home=$work/open/htg
refused "a parent others may write" "$work/open"

fresh
ln -s "$home" "$work/link"
home=$work/link
refused "a state folder that is a link" "$work/link"

fresh
rmdir "$home"
echo file >"$home"
refused "a state folder that is a file" "$home"

# as_nobody COMMAND…
as_nobody() {
    if [[ $(id -u) == 0 ]]; then setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"; else "$@"; fi
}
mkdir -m 755 "$work/theirs"
if [[ $(id -u) == 0 ]]; then chown 65534:65534 "$work/theirs"; fi
chmod 555 "$work/theirs"
home=$work/theirs/htg
refused "a folder one may not write" "$home|$work/theirs" as_nobody env -i HOME="$work" \
    HERMES_TRAFFIC_GUARDIAN_HOME="$home" "$HTG" start --listen 127.0.0.1:0
chmod 755 "$work/theirs"
if [[ $(id -u) == 0 ]]; then
    fresh
    chown 65534:65534 "$home"
    refused "somebody else's folder" "$home"
else
    skip "somebody else's folder: needs root"
fi

# === the configuration ===

# config WHAT PATTERN LINES…: config.toml with these lines is refused, and nothing was begun.
config() {
    local what=$1 pattern=$2
    shift 2
    fresh
    printf '%s\n' "$@" >"$home/config.toml"
    chmod 600 "$home/config.toml"
    refused "$what" "$pattern"
    says "$what: and the file" 'config\.toml'
    check "$what: nothing was begun" no_key
}
config "broken TOML, the line" 'line 3|:3' '# one' '# two' 'listen = = "x"'
config "an unknown key, its name" 'colour' 'colour = "red"'
config "an unknown key in a table" 'colour' '[retention]' 'colour = 1'
config "a number out of bounds" 'max_scan_bytes' '[scan]' 'max_scan_bytes = 1'
config "a word for a number" 'max_bytes' '[retention]' 'max_bytes = "lots"'
config "an audience without a host" 'host' '[[audience]]' 'scheme = "https"' 'port = 443' 'vendors = ["openai"]'
config "an audience of an unknown vendor" 'vendor' '[[audience]]' 'scheme = "https"' 'host = "h.example"' \
    'port = 443' 'vendors = ["nobody_inc"]'

# environment WHAT PATTERN NAME=VALUE
environment() {
    fresh
    HTG_ENV=("$3")
    refused "$1" "$2"
    HTG_ENV=()
    check "$1: nothing was begun" no_key
}
environment "MODE=block" 'MODE' HERMES_TRAFFIC_GUARDIAN_MODE=block
environment "REDACT_SNIPPETS=false" 'REDACT_SNIPPETS' HERMES_TRAFFIC_GUARDIAN_REDACT_SNIPPETS=false
environment "MAX_SCAN_BYTES=many" 'MAX_SCAN_BYTES' HERMES_TRAFFIC_GUARDIAN_MAX_SCAN_BYTES=many
environment "a configuration file that is not there" 'none\.toml' HERMES_TRAFFIC_GUARDIAN_CONFIG="$work/none.toml"
environment "an upstream proxy that is no URL" 'PROXY_URL' HERMES_TRAFFIC_GUARDIAN_PROXY_URL='::'
environment "roots that are not there" 'CA_BUNDLE|none\.pem' HERMES_TRAFFIC_GUARDIAN_CA_BUNDLE="$work/none.pem"
environment "an export folder by environment alone" 'ATTESTATION_OUTPUT|config\.toml' \
    HERMES_TRAFFIC_GUARDIAN_ATTESTATION_OUTPUT=elsewhere
fresh
refused "a period out of bounds" 'export-every|1 ?s' htg start --listen 127.0.0.1:0 --export-every 0s
refused "a flag nobody knows" 'colour' htg start --colour

# === keys ===

# a_home: a state folder with a past, stopped.
a_home() {
    fresh
    start_monitor --export-every 1h
    through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"
    check "a home with a finding" until_true 10 some_finding pattern=ai_api_key
    stop_monitor
}
a_home
past=$home
again() { home=$work/home$((homes += 1)) && cp -a "$past" "$home"; }

again && echo 'not a key' >"$home/keys/signing.key.pem"
refused "a corrupt signing key" 'signing\.key\.pem'
check "which was not replaced" grep -q 'not a key' "$home/keys/signing.key.pem"
again && rm "$home/keys/signing.key.pem"
refused "a signing key gone while its public half stands" 'signing\.(key|pub)\.pem'
again && chmod 644 "$home/keys/signing.key.pem"
refused "a signing key others may read" 'signing\.key\.pem'
again && mv "$home/keys/signing.key.pem" "$home/keys/s" && ln -s s "$home/keys/signing.key.pem"
refused "a signing key that is a link" 'signing\.key\.pem'
again && echo short >"$home/keys/fingerprint.key"
refused "a corrupt fingerprint key" 'fingerprint\.key'
again && : >"$home/keys/proxy.token"
refused "an empty proxy token" 'proxy\.token'
again && openssl genpkey -algorithm ed25519 -out "$home/keys/signing.key.pem" 2>/dev/null && chmod 600 "$home/keys/signing.key.pem"
refused "a signing key that is not the anchor's" 'signing\.(key|pub)\.pem'

# === one writer ===

home=$past
start_monitor --export-every 1h
refused "a second monitor" "$monitor"
exits "the first still answers" 0 htg status
stop_monitor

# logged NUMBER
logged() { [[ $(findings) -ge $1 ]]; }

# === a crash, and a log that is not what it was ===

again
start_monitor --export-every 1h
through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"
check "a finding before the crash" until_true 10 logged 2
signal_monitor KILL
printf '{"schema_version":"clawsec-traffic-fi' >>"$home/findings.jsonl"
start_monitor --export-every 1h
check "after a crash in the middle of a line it starts" kill -0 "$monitor"
equal "monitor_status" running "$(posture monitor_status)"
exits "verify" 0 htg verify
equal "findings, none lost" 2 "$(findings)"
check "the torn line is set aside" compgen -G "$home/damaged-*.jsonl"
check "and recorded" grep -q '"gap"' "$home/findings.jsonl"
stop_monitor

again
sed -i '/ai_api_key/s/"severity":"high"/"severity":"low"/' "$home/findings.jsonl"
start_monitor --export-every 1h
equal "after an edit of what was signed, traffic passes" 200 "$(through -o /dev/null -w '%{http_code}' "http://$origin/echo")"
through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"
check "and findings are kept" until_true 10 grep -q ai_api_key "$home/quarantine.jsonl"
exits "verify" 1 htg verify
exits "status answers" 0 htg status
says "and says degraded" 'degraded'
check "the edited log was left for a person" grep -q '"severity":"low"' "$home/findings.jsonl"
stop_monitor

# === things taken away while it runs ===

fresh
start_monitor --export-every 1s
rm -rf "$home/export"
sleep 2
equal "the export folder gone: traffic passes" 200 "$(through -o /dev/null -w '%{http_code}' "http://$origin/echo")"
check "and the monitor lives" kill -0 "$monitor"
exits "status answers" 0 htg status
rm -f "$home/run/control.sock"
exits "stop, without its socket" 0 htg stop
check "by the process the lock names" wait_gone "$monitor"

# A body full of findings, faster than any disk.
fresh
start_monitor --export-every 1h
keys=20000
python3 -c '
import random, string, sys
letters = string.ascii_letters + string.digits
part = lambda: "".join(random.choices(letters, k=20))
for _ in range(int(sys.argv[1])):
    print("sk-" + part() + "T3Blbk" + "FJ" + part())' "$keys" >"$work/keys"
through -o /dev/null --data-binary "@$work/keys" "http://$origin/echo"
accounted() { export_now && [[ $(($(findings) + $(posture attested.not_recorded))) == "$keys" ]]; }
check "$keys findings in one body: each in the log or in a number" until_true 20 accounted
echo "       | findings $(findings), not_recorded $(posture attested.not_recorded)"
exits "verify" 0 htg verify
stop_monitor

# Out of file descriptors: connections wait or are refused, then all is well.
fresh
start_monitor --export-every 1h
cpu() { awk '{print $14 + $15}' "/proc/$monitor/stat"; }
# at_rest: it took no processor time to speak of for half a second.
at_rest() {
    local before
    before=$(cpu)
    sleep 0.5
    [[ $(($(cpu) - before)) -lt 5 ]]
}
check "started, it comes to rest" until_true 20 at_rest # until then it readies its rules
prlimit --pid "$monitor" --nofile=80:80                 # after it counted what it has files for
exec {hold}< <(python3 -c '
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
held = []
for _ in range(400):
    try:
        held.append(socket.create_connection((host, int(port)), 1))
    except OSError:
        break
print(len(held), flush=True)
time.sleep(3)' "$listen")
read -r -u "$hold" held
at_least "silent connections held open" 64 "$held"
before=$(cpu)
sleep 1
check "out of descriptors it does not spin" test $(($(cpu) - before)) -lt 60
cat <&"$hold" >/dev/null
equal "afterwards traffic passes" 200 "$(through -o /dev/null -w '%{http_code}' "http://$origin/echo")"
stop_monitor

# === a full disk ===

# authentic: verify may call it degraded or stopped, never forged.
authentic() {
    local status=0
    htg verify --accept-stopped || status=$?
    [[ $status == 0 || $status == 3 ]]
}

at_end() { if [[ -n ${mounted:-} ]]; then umount -l "$mounted"; fi; }
if [[ $(id -u) == 0 ]] && mkdir "$work/disk" && mount -t tmpfs -o size=2m,mode=0700 tmpfs "$work/disk" 2>/dev/null; then
    mounted=$work/disk
    home=$work/disk/htg
    start_monitor --export-every 1s
    through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"
    check "a finding with room" until_true 10 some_finding pattern=ai_api_key
    heard=$(stat -c %s "$work/monitor.err")
    dd if=/dev/zero of="$mounted/full" bs=4096 2>/dev/null || true
    answered=0
    sent=20
    for _ in $(seq $sent); do
        [[ $(through -o /dev/null -w '%{http_code}' --data "note=$(a_key)" "http://$origin/echo") != 200 ]] || answered=$((answered + 1))
    done
    equal "disk full: requests that passed" "$sent" "$answered"
    sleep 4
    warnings=$(tail -c +$((heard + 1)) "$work/monitor.err" | grep -c 'trying again' || true)
    check "it warns of that, and not with each try ($warnings lines)" test "$warnings" -ge 1 -a "$warnings" -le 4
    check "the monitor lives" kill -0 "$monitor"
    exits "status answers" 0 htg status
    says "and says degraded" 'degraded'
    rm "$mounted/full"
    whole() { export_now && [[ $(($(findings) + $(posture attested.not_recorded))) -ge $((sent + 1)) ]]; }
    check "with room again, every finding is in the log or in a number" until_true 20 whole
    echo "       | findings $(findings), not_recorded $(posture attested.not_recorded), status $(posture monitor_status)"
    check "the chain is whole" python3 -c '
import hashlib, json, sys
before = hashlib.sha256(b"clawsec-traffic-log/v1").hexdigest()
for line in open(sys.argv[1], "rb"):
    record = json.loads(line)
    assert record["prev_sha256"] == before, record["seq"]
    before = hashlib.sha256(line.rstrip(b"\n")).hexdigest()' "$home/findings.jsonl"
    stop_monitor
    check "verify does not call it forged" authentic
else
    skip "a full disk: needs root and mount"
fi
finish

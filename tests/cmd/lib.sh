# shellcheck shell=bash
# What the scripts beside it share: a work folder, one monitor at a time, assertions, and an end to everything begun.
#
# A script sources this, calls `begin NAME`, asserts with `check`, `equal` and `same_bytes`, and ends with `finish`.
# Everything lies in $work, which goes at the end unless KEEP=1. Ports are the kernel's choice, on loopback alone.
#
#   HTG       the binary under test; by default target/release/hermes-traffic-guardian
#   HTG_VENV  a folder where Python environments are kept between runs; by default inside $work

set -euo pipefail
umask 022

cmd=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$cmd/../.." && pwd)
HTG=${HTG:-$root/target/release/hermes-traffic-guardian}
passed=0
failed=0
started=()

begin() {
    name=$1
    [[ -x $HTG ]] || { echo "$name: no binary at $HTG (cargo build --release, or set HTG)" >&2; exit 1; }
    HTG=$(cd "$(dirname "$HTG")" && pwd)/$(basename "$HTG")
    work=$(mktemp -d "${TMPDIR:-/tmp}/htg-$name-XXXXXX")
    home=$work/htg
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    echo "== $name"
}

cleanup() {
    local status=$? pid
    trap - EXIT
    for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true; done
    if declare -F at_end >/dev/null; then at_end || true; fi
    if [[ ${KEEP:-} == 1 ]]; then echo "kept: $work" >&2; else rm -rf "$work"; fi
    exit "$status"
}

finish() {
    echo "$name: $passed passed, $failed failed"
    [[ $failed == 0 ]]
}

# === assertions ===

ok() { passed=$((passed + 1)); echo "  ok   $*"; }

bad() { failed=$((failed + 1)); echo "  FAIL $*" >&2; }

# check WHAT COMMAND…: the command answers yes.
check() {
    local what=$1
    shift
    if "$@" >"$work/check.out" 2>&1; then
        ok "$what"
    else
        bad "$what"
        printable 20 "$work/check.out" >&2
    fi
}

refuse() { ! "$@"; }

# equal WHAT EXPECTED ACTUAL
equal() {
    if [[ $2 == "$3" ]]; then ok "$1: $3"; else bad "$1: expected ${2@Q}, got ${3@Q}"; fi
}

# at_least WHAT NUMBER ACTUAL
at_least() {
    if [[ $3 =~ ^[0-9]+$ && $3 -ge $2 ]]; then ok "$1: $3"; else bad "$1: expected at least $2, got ${3@Q}"; fi
}

# same_bytes WHAT FILE FILE
same_bytes() {
    local a b
    a=$(sha256 "$2") b=$(sha256 "$3")
    if [[ -n $a && $a == "$b" ]]; then ok "$1: sha256 ${a:0:16}…"; else bad "$1: sha256 ${a:-none} and ${b:-none}"; fi
}

# exits WHAT STATUS COMMAND…: and leaves its answer in $work/exits.out and $work/exits.err.
exits() {
    local what=$1 expected=$2 status=0
    shift 2
    "$@" >"$work/exits.out" 2>"$work/exits.err" </dev/null || status=$?
    if [[ $status == "$expected" ]]; then
        ok "$what: exit $status"
    else
        bad "$what: expected exit $expected, got $status"
        printable 12 "$work/exits.out" "$work/exits.err" >&2
    fi
}

# says WHAT PATTERN: the last `exits` or `check` command said so, on either stream.
says() {
    if grep -qE -- "$2" "$work/exits.out" "$work/exits.err"; then
        ok "$1: $(grep -hE -m1 -- "$2" "$work/exits.out" "$work/exits.err" | cut -c1-150)"
    else
        bad "$1: nothing matches ${2@Q}"
        printable 12 "$work/exits.out" "$work/exits.err" >&2
    fi
}

skip() { echo "  SKIP $*" >&2; }

printable() {
    local lines=$1
    shift
    head -qn "$lines" "$@" 2>/dev/null | cut -c1-300 | sed 's/^/       | /'
}

sha256() { [[ -f $1 ]] && sha256sum <"$1" | cut -d' ' -f1; }

# === waiting, always with an end ===

# until_true SECONDS COMMAND…
until_true() {
    local tries=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [[ $tries -gt 0 ]] || return 1
        sleep 0.05
    done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

wait_gone() { until_true 15 gone "$1"; }

nonempty() { [[ -s $1 ]]; }

# === programs under test and beside it ===

# The guardian with an environment made from nothing. HTG_ENV may add `NAME=value` words.
HTG_ENV=()
htg() {
    env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$work" TMPDIR="$work" HERMES_TRAFFIC_GUARDIAN_HOME="$home" \
        "${HTG_ENV[@]}" timeout 120 "$HTG" "$@"
}

# start_monitor [FLAG…]: leaves $monitor (pid), $listen and $proxy, the URL with its credential. HTG_WITH may name a
# program, with its flags, that becomes the guardian.
HTG_WITH=()
start_monitor() {
    : >"$work/monitor.out"
    env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$work" TMPDIR="$work" HERMES_TRAFFIC_GUARDIAN_HOME="$home" \
        "${HTG_ENV[@]}" "${HTG_WITH[@]}" "$HTG" start --json --listen 127.0.0.1:0 "$@" \
        >"$work/monitor.out" 2>>"$work/monitor.err" </dev/null &
    monitor=$!
    started+=("$monitor")
    if ! until_true 20 nonempty "$work/monitor.out"; then
        bad "no ready line within 20 s"
        printable 20 "$work/monitor.err" >&2
        exit 1
    fi
    listen=$(head -n1 "$work/monitor.out" | field listen)
    proxy=http://guardian:$(cat "$home/keys/proxy.token")@$listen
}

# stop_monitor: by the verb, as an operator does.
stop_monitor() {
    htg stop >/dev/null 2>&1 || true
    ended
}

# signal_monitor SIGNAL
signal_monitor() {
    [[ $1 != KILL ]] || disown "$monitor" # or the shell would report it
    kill "-$1" "$monitor"
    ended
}

ended() {
    wait_gone "$monitor" || { bad "the monitor did not end within 15 s"; kill -KILL "$monitor"; }
    wait "$monitor" 2>/dev/null || true
}

# start_helper NAME COMMAND…: a program that writes host:port to $work/NAME.ready. Leaves $address and $helper.
start_helper() {
    local name=$1
    shift
    rm -f "$work/$name.ready"
    env -i PATH="$PATH" HOME="$work" "$@" --ready "$work/$name.ready" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    helper=$!
    started+=("$helper")
    until_true 10 nonempty "$work/$name.ready" || { bad "$name did not start"; printable 20 "$work/$name.err" >&2; exit 1; }
    address=$(cat "$work/$name.ready")
}

# start_origin: leaves $origin; what it was sent is in $work/seen.
start_origin() {
    start_helper origin python3 "$cmd/origin.py" --seen "$work/seen"
    # shellcheck disable=SC2034  # for the caller
    origin=$address
}

# through COMMAND…: curl by way of the monitor, with nothing of the caller's configuration.
through() { env -i PATH="$PATH" HOME="$work" curl -q -sS --max-time 120 --noproxy '' --proxy "$proxy" "$@"; }

direct() { env -i PATH="$PATH" HOME="$work" curl -q -sS --max-time 120 --noproxy '*' "$@"; }

# venv NAME PACKAGE…: leaves $python, the interpreter of an environment that has them.
venv() {
    local folder=${HTG_VENV:-$work/venv}/$1
    shift
    python=$folder/bin/python
    if [[ ! -e $folder/complete ]]; then
        python3 -m venv --clear "$folder"
        "$python" -m pip install --quiet --disable-pip-version-check "$@" </dev/null
        touch "$folder/complete"
    fi
}

# === documents ===

# field NAME[.NAME…] <JSON: prints the value, words and numbers bare, the rest as JSON; fails if there is none.
field() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name)] if isinstance(value, list) else value[name]
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

posture() { field "$1" <"$home/export/current/posture.json"; }

# unscanned REASON: bytes relayed for it, by the current posture.
unscanned() {
    python3 -c '
import json, sys
records = json.load(sys.stdin)["coverage"]["not_scanned"]
print(sum(r["bytes"] for r in records if r["reason"] == sys.argv[1]))' "$1" <"$home/export/current/posture.json"
}

# coverage_adds_up: seen = scanned + not scanned, in connections, messages and bytes.
coverage_adds_up() {
    python3 -c '
import json, sys
c = json.load(sys.stdin)["coverage"]
for what in ("connections", "messages", "bytes"):
    parts = c["scanned"][what] + sum(r[what] for r in c["not_scanned"])
    if c["seen"][what] != parts:
        sys.exit("%s: seen %d, in parts %d" % (what, c["seen"][what], parts))
print(json.dumps(c))' <"$home/export/current/posture.json"
}

export_now() { htg export >/dev/null; }

# findings [NAME=VALUE…]: how many findings in the log have these values.
findings() {
    python3 -c '
import glob, json, sys
wanted = dict(word.split("=", 1) for word in sys.argv[2:])
n = 0
for name in sorted(glob.glob(sys.argv[1] + "/findings*.jsonl")):
    for line in open(name, "rb"):
        record = json.loads(line)
        if "rule" in record and all(record.get(k) == v for k, v in wanted.items()):
            n += 1
print(n)' "$home" "$@"
}

# some_finding NAME=VALUE…: for until_true, since a scan runs behind the traffic.
some_finding() { [[ $(findings "$@") -gt 0 ]]; }

# tls_origin FOLDER [NAME]: makes an authority nobody trusts yet, ca.pem, and from it tls.pem and tls.key for an origin on
# loopback; NAME is a DNS name of it beside its address.
tls_origin() {
    local folder=$1 names=IP:127.0.0.1${2:+,DNS:$2} new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    openssl req -x509 "${new_key[@]}" -days 2 -subj /CN=throw-away -addext keyUsage=critical,keyCertSign \
        -keyout "$folder/ca.key" -out "$folder/ca.pem" 2>/dev/null
    openssl req "${new_key[@]}" -subj /CN=origin -keyout "$folder/tls.key" -out "$folder/tls.csr" 2>/dev/null
    openssl x509 -req -in "$folder/tls.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
        -extfile <(printf 'subjectAltName=%s\nbasicConstraints=critical,CA:FALSE\n' "$names") \
        -out "$folder/tls.pem" 2>/dev/null
}

# leaks FOLDER_OR_FILE… <SECRETS: prints where any 8 characters in a row of a secret appear, and fails if they do.
leaks() { python3 "$cmd/leaks.py" "$@"; }

# a_key: an OpenAI-shaped key nobody ever issued.
a_key() {
    python3 -c '
import secrets, string
letters = string.ascii_letters + string.digits
part = lambda: "".join(secrets.choice(letters) for _ in range(20))
print("sk-" + part() + "T3Blbk" + "FJ" + part())'
}

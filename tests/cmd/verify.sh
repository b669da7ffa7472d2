#!/usr/bin/env bash
# What the guardian signs, judged by programs that are not ours: openssl, Node and Python's `cryptography`, from the
# files alone. Then what `verify` says of every kind of damage.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin verify

venv cryptography cryptography

# openssl_verifies GENERATION NAME
openssl_verifies() {
    base64 -d "$1/$2.sig" >"$work/signature"
    openssl pkeyutl -verify -pubin -inkey "$home/signing.pub.pem" -rawin -in "$1/$2" -sigfile "$work/signature"
}

# judged WHAT GENERATION: by all three.
judged() {
    check "$1: openssl, posture.json" openssl_verifies "$2" posture.json
    check "$1: openssl, state.json" openssl_verifies "$2" state.json
    check "$1: Node" node "$cmd/verify.mjs" "$2" "$home/signing.pub.pem"
    check "$1: Python" "$python" "$cmd/verify.py" "$2" "$home/signing.pub.pem"
}

# take NAME: an export now, copied to $work/NAME.
take() {
    export_now
    cp -rL "$home/export/current" "$work/$1"
}

# a_finding: a key in a body, to a host that is not its vendor's.
a_finding() { through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"; }

logged() { [[ $(findings) -ge $1 ]]; }

# === three exports, traffic between them ===

start_origin
start_monitor --export-every 1h
take first
a_finding
check "a finding in the log" until_true 10 logged 1
take second
a_finding
through -o /dev/null "http://$origin/bytes/100000"
check "another finding in the log" until_true 10 logged 2
take third

for each in first second third; do judged "$each export" "$work/$each"; done
same_bytes "state.json, first and second" "$work/first/state.json" "$work/second/state.json"
same_bytes "state.json, second and third" "$work/second/state.json" "$work/third/state.json"
check "posture.json differs, first and second" refuse cmp -s "$work/first/posture.json" "$work/second/posture.json"
check "posture.json differs, second and third" refuse cmp -s "$work/second/posture.json" "$work/third/posture.json"
check "Python recounts the chain" "$python" "$cmd/verify.py" "$home/export/current" "$home/signing.pub.pem" "$home"
exits "verify" 0 htg verify
says "verify says what it does not prove" '[Nn]ot prove|never reached|does not'
exits "verify against the first state" 0 htg verify --baseline "$work/first/state.json"
amid_exports() {
    local writer
    { for _ in {1..40}; do htg export; done; } >/dev/null &
    writer=$!
    for _ in {1..20}; do htg verify || { kill "$writer"; return 1; }; done
    wait "$writer"
}
exits "verify, twenty times while exports are written" 0 amid_exports

exits "write a verdict" 0 htg verify --write-verdict
equal "the verdict" verified "$(field result <"$home/verdict.json")"
cp "$home/verdict.json" "$work/verdict.json"
exits "and again" 0 htg verify --write-verdict
same_bytes "the verdict is stable" "$work/verdict.json" "$home/verdict.json"

# === SIGTERM changes the posture, never the state ===

signal_monitor TERM
same_bytes "state.json after SIGTERM" "$work/first/state.json" "$home/export/current/state.json"
equal "ended" signal "$(posture ended)"
equal "monitor_status" stopped "$(posture monitor_status)"
equal "monitor_enabled, the operator's intent" true "$(posture monitor_enabled)"
exits "verify after SIGTERM" 3 htg verify
exits "verify after SIGTERM, stopped accepted" 3 htg verify --accept-stopped
exits "its verdict" 3 htg verify --write-verdict
equal "the verdict" not_current "$(field result <"$home/verdict.json")"

# === `stop` changes both ===

start_monitor --export-every 1h
exits "verify of the new run" 0 htg verify
stop_monitor
check "state.json after stop differs" refuse cmp -s "$work/first/state.json" "$home/export/current/state.json"
equal "ended" operator_stop "$(posture ended)"
equal "monitor_enabled" false "$(posture monitor_enabled)"
exits "verify after stop" 3 htg verify
exits "verify after stop, accepted" 0 htg verify --accept-stopped
exits "against the first state" 2 htg verify --accept-stopped --baseline "$work/first/state.json"
says "and names what changed" monitor_enabled
judged "after stop" "$home/export/current"

equal "the log's head by hand" "$(posture finding_log_sha256)" \
    "$(tail -n1 "$home/findings.jsonl" | tr -d '\n' | sha256sum | cut -d' ' -f1)"

last=0
before=null
for generation in "$home"/export/0*; do
    sequence=$(field sequence <"$generation/posture.json")
    [[ $sequence -gt $last ]] || bad "generation $generation has sequence $sequence after $last"
    if [[ $last != 0 && $sequence == $((last + 1)) ]]; then
        [[ $(field previous_sha256 <"$generation/posture.json") == "$before" ]] || bad "posture $sequence names another one before it"
    fi
    node "$cmd/verify.mjs" "$generation" "$home/signing.pub.pem" >/dev/null || bad "Node refuses $generation"
    last=$sequence
    before=$(sha256 "$generation/posture.json")
done
at_least "generations Node accepts, each naming the one before" 6 "$last"

# === a copy, pinned ===

copy=$work/copy
anchor=$work/anchor.pem
cp "$home/signing.pub.pem" "$anchor"
# Stopped by its operator: accepted, so that every other answer is the damage's.
pinned() { htg verify "$copy" --public-key "$anchor" --accept-stopped; }
# damaged WHAT STATUS COMMAND…: on a fresh copy.
damaged() {
    local what=$1 status=$2
    shift 2
    rm -rf "$copy"
    cp -a "$home" "$copy"
    rm -rf "$copy/keys"
    "$@"
    exits "$what" "$status" pinned
}
# edit FILE EXPRESSION: in the copy; fails if nothing changed.
edit() {
    cp -L "$copy/$1" "$work/unedited"
    sed -i --follow-symlinks "$2" "$copy/$1"
    ! cmp -s "$work/unedited" "$copy/$1" || bad "the edit of $1 changed nothing"
}
append() { printf '%b' "$2" >>"$copy/$1"; }
respelled() { tr '+/' '-_' <"$home/$1" | tr -d '=' >"$copy/$1"; }
elsewhere() { rm "$copy/export/current" && ln -s "$work/third" "$copy/export/current"; }
cut_lines() { head -n "$2" "$copy/$1" >"$work/cut" && cp "$work/cut" "$copy/$1"; }
lines=$(wc -l <"$home/findings.jsonl")

damaged "an untouched copy without keys" 0 true
damaged "a torn tail nobody signed" 0 append findings.jsonl '{"schema_version":"claw'
damaged "an edited record" 1 edit findings.jsonl '/ai_api_key/s/"severity":"high"/"severity":"low"/'
damaged "a record removed from the middle" 1 edit findings.jsonl "$((lines / 2))d"
damaged "two records exchanged" 1 edit findings.jsonl "$((lines / 2)){h;d};$((lines / 2 + 1))G"
damaged "the signed tail cut" 1 cut_lines findings.jsonl $((lines - 1))
damaged "the log emptied" 1 cut_lines findings.jsonl 0
damaged "the log gone" 1 rm "$copy/findings.jsonl"
damaged "a number changed in the posture" 1 edit export/current/posture.json 's/"findings":[0-9]*/"findings":0/'
damaged "one space in the posture" 1 edit export/current/posture.json 's/,/, /'
damaged "a newline after the posture" 1 append export/current/posture.json '\n'
damaged "__proto__ appended" 1 edit export/current/posture.json 's/}$/,"__proto__":{"mode":"block"}}/'
damaged "a mode changed in the state" 1 edit export/current/state.json 's/"https_inspection":false/"https_inspection":true/'
damaged "an older state with its own signature" 1 cp "$work/first/state.json" "$work/first/state.json.sig" "$copy/export/current/"
damaged "the posture's signature on the state" 1 cp "$copy/export/current/posture.json.sig" "$copy/export/current/state.json.sig"
damaged "a signature gone" 1 rm "$copy/export/current/posture.json.sig"
damaged "a signature in base64url" 1 respelled export/current/posture.json.sig
damaged "a signature with CRLF" 1 edit export/current/posture.json.sig 's/$/\r/'
damaged "current leads elsewhere" 1 elsewhere
damaged "a version of tomorrow, unsigned" 1 edit export/current/posture.json 's,posture/v1,posture/v2,'
damaged "no export at all" 74 rm -r "$copy/export"

openssl genpkey -algorithm ed25519 -out "$work/other.key" 2>/dev/null
openssl pkey -in "$work/other.key" -pubout -out "$anchor"
damaged "pinned to another key" 1 true
# The identity point: for such a key one fixed signature passes for every message in lenient verifiers.
{ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00\x01'; head -c 31 /dev/zero; } |
    openssl base64 | sed '1i -----BEGIN PUBLIC KEY-----' | sed '$a -----END PUBLIC KEY-----' >"$anchor"
damaged "pinned to a weak key" 1 true
rm -rf "$copy" && cp -a "$home" "$copy"
exits "a copy without a pin" 1 htg verify "$copy" --accept-stopped
says "and says so" 'pinned'
exits "a lone posture, even a good one" 74 htg verify "$work/third/posture.json" --public-key "$home/signing.pub.pem" --max-age 1h
exits "no such folder" 74 htg verify "$work/none" --public-key "$home/signing.pub.pem"

# === out of date ===

home=$work/short
start_monitor --export-every 1s
exits "verify with a period of a second" 0 htg verify
signal_monitor KILL
expired() { [[ $(date -u +%Y-%m-%dT%H:%M:%S.%3NZ) > $(posture valid_until) ]]; }
check "valid for three periods, no more" until_true 10 expired
exits "verify after a kill, three periods on" 3 htg verify
exits "accepting a stop does not help" 3 htg verify --accept-stopped
exits "a reader's own age limit" 0 htg verify --max-age 1h
exits "an export after a crash" 0 htg export
equal "ended" unclean "$(posture ended)"
exits "is still not current" 3 htg verify
start_monitor --export-every 2s
exits "another period is another state" 2 htg verify --baseline "$home/export/000000000001/state.json"
says "and names what changed" period_seconds
stop_monitor
finish

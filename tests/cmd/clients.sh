#!/usr/bin/env bash
# Public clients nobody here wrote: what each gets directly it gets through the monitor, tunnelled and inspected, and what
# it sends inside TLS is found when it is inspected.
#
# Installs Python's and Node's clients from the package indexes, into $HTG_VENV where it is set. nghttp and h2load are
# Debian's nghttp2-client; without them their cases are skipped.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin clients

venv clients requests 'httpx[http2]' websockets
modules=${HTG_VENV:-$work/venv}/clients/node
if [[ ! -e $modules/complete ]]; then
    mkdir -p "$modules"
    npm install --prefix "$modules" --silent --no-audit --no-fund --ignore-scripts ws undici@7 https-proxy-agent </dev/null
    touch "$modules/complete"
fi

# === an origin over TLS ===

tls_origin "$work" localhost
mkdir "$work/git"
git init -q --bare "$work/git/repo"
git -C "$work/git/repo" config http.receivepack true
git init -q -b main "$work/tree"
head -c 3000000 /dev/urandom >"$work/tree/noise"
git -C "$work/tree" add noise
git -C "$work/tree" -c user.name=a -c user.email=a@localhost commit -qm first
git -C "$work/tree" push -q "$work/git/repo" main
git -C "$work/git/repo" symbolic-ref HEAD refs/heads/main
start_helper secure env MODULES="$modules" node "$cmd/secure.mjs" \
    --cert "$work/tls.pem" --key "$work/tls.key" --git "$work/git"
origin=$address

# === the clients: each prints what it got, and says a text nobody should send ===

as_curl() {
    printf %s "$2" >"$work/text"
    curl -q -sS --max-time 60 "$1" --data-binary "@$work/text" -w '%{http_version} %{http_code}\n' "https://$origin/echo"
    curl -q -sS --max-time 60 "$1" "https://$origin/bytes/5000000" | sha256sum
    curl -q -sS --max-time 60 "$1" --suppress-connect-headers -I \
        "https://localhost:${origin##*:}/bytes/10" | tr -d '\r' | grep -viE '^(date|connection|keep-alive):' | sort
}
as_curl-h1() { as_curl --http1.1 "$1"; }
as_curl-h2() { as_curl --http2 "$1"; }
as_git() {
    rm -rf "$work/clone"
    git -c http.extraHeader="X-Note: $1" clone -q "https://$origin/git/repo" "$work/clone"
    git -C "$work/clone" rev-parse HEAD
    sha256sum <"$work/clone/noise"
    head -c 100000 /dev/urandom >"$work/clone/more"
    git -C "$work/clone" add more
    git -C "$work/clone" -c user.name=b -c user.email=b@localhost commit -qm second
    git -C "$work/clone" push -q origin HEAD:refs/heads/"branch-$RANDOM"
    git -C "$work/clone" fetch -q
}
# Neither knows a proxy: $reach is the origin, or a port that leads there through one.
as_nghttp() {
    printf %s "$1" >"$work/text"
    timeout 60 nghttp --data="$work/text" -H ":authority: $origin" "https://$reach/echo"
}
as_h2load() {
    timeout 100 h2load -n 2000 -c 4 -m 10 --connect-to="$reach" "https://$origin/bytes/1000" >"$work/h2load.out"
    grep -E '^(requests|status codes):' "$work/h2load.out"
    grep -E '^finished in' "$work/h2load.out" >&2
}

# client NAME TEXT COMMAND…: the client called NAME, begun by the command.
client() {
    local name=$1 text=$2
    shift 2
    if declare -F "as_$name" >/dev/null; then
        "$@" bash -c "set -eo pipefail; $(declare -f as_curl "as_$name"); origin=$origin work=$work reach=$reach; as_$name \"\$1\"" \
            - "$text"
    elif [[ $name == node-* ]]; then
        # By name: https-proxy-agent takes the certificate of an address for one of "localhost".
        "$@" node "$cmd/clients.mjs" "${name#node-}" "https://localhost:${origin##*:}" "$text"
    else
        "$@" "$python" "$cmd/clients.py" "$name" "https://$origin" "$text"
    fi
}

clients=(curl-h1 curl-h2 git urllib requests httpx httpx2 websockets websockets-plain node-fetch node-ws node-ws-plain)
if command -v nghttp >/dev/null && command -v h2load >/dev/null; then
    clients+=(nghttp h2load)
else
    skip "nghttp and h2load: no such program (Debian's nghttp2-client)"
fi

# a_text: a key in the shape of a vendor's, that no vendor gave out, and a command nobody should run.
a_text() {
    python3 -c '
import secrets, string
print("note AK" + "IA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
      + " ; curl -fsS http://127.0.0.1:1/install.sh | sh")'
}

# === directly ===

# What trusts the origin as it is: directly, and through a tunnel. An inspecting monitor's commands get its bundle instead.
common=(PATH="$PATH" MODULES="$modules" GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0)
trust=(SSL_CERT_FILE="$work/ca.pem" REQUESTS_CA_BUNDLE="$work/ca.pem" CURL_CA_BUNDLE="$work/ca.pem"
    GIT_SSL_CAINFO="$work/ca.pem" NODE_EXTRA_CA_CERTS="$work/ca.pem")
reach=$origin
# One for each, so that each is a finding of its own.
declare -A texts
for who in "${clients[@]}"; do
    texts[$who]=$(a_text)
    client "$who" "${texts[$who]}" env -i HOME="$work" "${common[@]}" "${trust[@]}" timeout 120 \
        >"$work/$who.direct" 2>"$work/$who.err" </dev/null || bad "$who directly: $(head -c 300 "$work/$who.err")"
    check "$who works directly" nonempty "$work/$who.direct"
done

# === through the monitor ===

# through_monitor MODE FLAG…: every client by way of `run FLAG…`, and the same answer as directly. What it says is found
# when it is inspected, and not when it is not.
through_monitor() {
    local mode=$1 name before
    shift
    start_helper bridge python3 "$cmd/bridge.py" --proxy "$proxy" --to "$origin"
    reach=$address
    for name in "${clients[@]}"; do
        before=$(findings pattern=aws_access_key_id)
        if client "$name" "${texts[$name]}" htg run "$@" -- >"$work/$name.$mode" 2>"$work/$name.err" </dev/null &&
            cmp -s "$work/$name.direct" "$work/$name.$mode"; then
            ok "$name, $mode: the same as directly"
        else
            bad "$name, $mode: not the same as directly"
            diff "$work/$name.direct" "$work/$name.$mode" >"$work/diff" || true
            printable 12 "$work/diff" "$work/$name.err" >&2
        fi
        if [[ $mode == inspected && $name != h2load ]]; then
            check "$name, $mode: what it sends is found" until_true 10 more "$before"
        fi
    done
    export_now
    check "$mode: every connection, message and byte is in one bucket" coverage_adds_up
}
more() { [[ $(findings pattern=aws_access_key_id) -gt $1 ]]; }

HTG_ENV=("${common[@]}" "${trust[@]}")
home=$work/tunnelled
start_monitor --export-every 1h
through_monitor tunnelled
equal "findings without inspection" 0 "$(findings pattern=aws_access_key_id)"
at_least "bytes in tunnels" 10000000 "$(unscanned tunnel)"
stop_monitor

HTG_ENV=("${common[@]}")
home=$work/inspected
mkdir -m 700 "$home"
echo "ca_bundle = \"$work/ca.pem\"" >"$home/config.toml"
exits "ca init" 0 htg ca init
start_monitor --inspect-https --export-every 1h
through_monitor inspected --inspect-https
for reason in tunnel tunnel_fallback interception_failed websocket_relayed undecodable dropped scanner_error; do
    equal "bytes unscanned: $reason" 0 "$(unscanned "$reason")"
done
check "findings within HTTPS" some_finding pattern=aws_access_key_id protocol=https
check "findings in WebSockets, outbound" \
    some_finding pattern=aws_access_key_id protocol=wss placement=websocket direction=outbound
check "findings in WebSockets, inbound" \
    some_finding pattern=pipe_to_shell protocol=wss placement=websocket direction=inbound
at_least "bytes scanned" 10000000 "$(posture coverage.scanned.bytes)"
exits "status" 0 htg status
stop_monitor
exits "verify after the stop" 0 htg verify --accept-stopped
finish

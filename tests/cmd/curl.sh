#!/usr/bin/env bash
# curl through the monitor: the same bytes either way, refusals at once, and every byte in one bucket of the coverage.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin curl

BIG=$((100 * 1024 * 1024))

start_origin
start_monitor --export-every 1h

# === bytes ===

direct -o "$work/down.direct" "http://$origin/bytes/$BIG"
through -o "$work/down" "http://$origin/bytes/$BIG"
same_bytes "100 MB down" "$work/down.direct" "$work/down"

sent=$(sha256 "$work/down")
answer=$(through -T "$work/down" "http://$origin/digest")
equal "100 MB up" "$sent" "$(field sha256 <<<"$answer")"
answer=$(through -H 'Transfer-Encoding: chunked' -H 'Expect:' -T "$work/down" "http://$origin/digest")
equal "100 MB up, chunked" "$sent" "$(field sha256 <<<"$answer")"

direct -H 'Accept-Encoding: gzip' -D "$work/gzip.direct.head" -o "$work/gzip.direct" "http://$origin/gzip"
through -H 'Accept-Encoding: gzip' -D "$work/gzip.head" -o "$work/gzip" "http://$origin/gzip"
same_bytes "a gzip body, as compressed" "$work/gzip.direct" "$work/gzip"
check "which is still gzip" gzip -t <"$work/gzip"
for header in content-encoding etag content-length content-type; do
    equal "its field $header" "$(grep -i "^$header:" "$work/gzip.direct.head")" "$(grep -i "^$header:" "$work/gzip.head")"
done

through --raw -H 'TE: trailers' -H 'Connection: TE' -o "$work/trailers" "http://$origin/trailers"
check "trailers arrive" grep -qi '^x-sum: 7' "$work/trailers"

for code in 204 304 404 500 503; do
    equal "status $code" "$code" "$(through -o /dev/null -w '%{http_code}' "http://$origin/status/$code")"
done
equal "HEAD keeps its length" "Content-Length: 77" \
    "$(through -I "http://$origin/bytes/77" | tr -d '\r' | grep -i '^content-length')"

# === heads ===

# The same request twice: directly, and through. What differs is named here and nowhere else.
ask() {
    "$1" -X PATCH -H 'X-MiXed: a' -H 'X-Twice: 1' -H 'x-twice: 2' -H 'Cookie: a=b; c=d' -H 'X-Empty;' \
        -H 'Connection: x-hop' -H 'X-Hop: away' -H 'Authorization: Basic dTpw' --data 'q=1&r=%20' \
        "http://$origin/echo/a%2Fb;c?q=1&&x=%7B+y"
}
ask direct >"$work/ask.direct"
ask through >"$work/ask.through"
equal "the target as written" "$(field target <"$work/ask.direct")" "$(field target <"$work/ask.through")"
equal "the method as written" PATCH "$(field method <"$work/ask.through")"
fields() {
    python3 -c '
import json, sys
hop = {"connection", "proxy-connection", "keep-alive", "x-hop", "te"}
print(json.dumps(sorted(h for h in json.load(sys.stdin)["headers"] if h[0].lower() not in hop)))' <"$1"
}
equal "fields, their case, values and repetition" "$(fields "$work/ask.direct")" "$(fields "$work/ask.through")"
check "the proxy's credential goes no further" refuse grep -qi 'proxy-authorization' "$work/seen"
check "nor does a field named by Connection" refuse grep -q 'X-Hop' "$work/ask.through"
check "nothing is added of our own" refuse grep -qiE '"(via|x-forwarded-[a-z]+|forwarded)"' "$work/seen"

# === server-sent events: none is held back ===

# The origin sends event n+1 only after event n was seen here, so one held back event stops everything.
EVENTS=20
arrived=0
while IFS=$'\r\n' read -r line; do
    [[ $line == data:* ]] || continue
    [[ $line == "data: event $arrived" ]] || { bad "event $arrived came as ${line@Q}"; break; }
    arrived=$((arrived + 1))
    direct -X POST "http://$origin/release"
done < <(through -N "http://$origin/sse/$EVENTS")
equal "events, each seen before the next was sent" "$EVENTS" "$arrived"

# === refusals ===

status_of() { curl -q -sS -o "$work/refused" --max-time 30 -w '%{http_code}' "$@" 2>/dev/null || true; }
bare=http://$listen
equal "no token, plain" 407 "$(status_of --proxy "$bare" "http://$origin/echo")"
equal "a wrong token, plain" 407 "$(status_of --proxy "http://guardian:wrong@$listen" "http://$origin/echo")"
equal "no token, CONNECT" 407 "$(curl -q -sS -o /dev/null --max-time 30 -w '%{http_connect}' --proxy "$bare" \
    "https://$origin/" 2>/dev/null || true)"
check "407 says how" grep -qi '^proxy-authenticate: basic' \
    <(curl -q -s -D - -o /dev/null --proxy "$bare" "http://$origin/echo")
equal "a dead port, plain" 502 "$(status_of --noproxy '' --proxy "$proxy" http://127.0.0.1:1/)"
equal "a name that nobody has, plain" 502 "$(status_of --noproxy '' --proxy "$proxy" http://no-such-name.invalid/)"
equal "a dead port, CONNECT" 502 "$(curl -q -sS -o /dev/null --max-time 30 -w '%{http_connect}' --noproxy '' \
    --proxy "$proxy" https://127.0.0.1:1/ 2>/dev/null || true)"
equal "ourselves as the destination" 508 "$(status_of --noproxy '' --proxy "$proxy" "http://$listen/")"
equal "no page for a browser" 407 "$(status_of --noproxy '*' "http://$listen/")"

# === a tunnel ===

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=loopback \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null
head -c 5000000 /dev/urandom >"$work/page"
(cd "$work" && exec openssl s_server -accept 127.0.0.1:0 -cert tls.pem -key tls.key -WWW) >"$work/s_server.out" 2>&1 &
started+=("$!")
until_true 10 grep -q '^ACCEPT' "$work/s_server.out"
tls=127.0.0.1:$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/s_server.out" | head -n1)

export_now
before=$(unscanned tunnel)
through --cacert "$work/tls.pem" -o "$work/page.got" "https://$tls/page"
same_bytes "5 MB through CONNECT, the origin's own certificate" "$work/page" "$work/page.got"
tunnelled() { export_now && [[ $(unscanned tunnel) -ge $((before + 5000000)) ]]; }
until_true 5 tunnelled || true
grown=$(($(unscanned tunnel) - before))
at_least "tunnelled bytes counted, not scanned" 5000000 "$grown"
check "and not much more than sent" test "$grown" -lt 5100000

# === coverage ===

check "every connection, message and byte is in one bucket" coverage_adds_up
at_least "bytes seen" $((3 * BIG)) "$(posture coverage.seen.bytes)"
at_least "connections seen" 10 "$(posture coverage.seen.connections)"
exits "status" 0 htg status --json
check "status knows the coverage" grep -q '"coverage"' "$work/exits.out"
exits "verify" 0 htg verify

stop_monitor
check "after a stop too" coverage_adds_up
equal "nothing is left in progress" 0 "$(unscanned in_progress)"
equal "clean traffic, no findings" 0 "$(findings)"
finish

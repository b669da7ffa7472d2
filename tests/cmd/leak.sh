#!/usr/bin/env bash
# Secrets planted wherever a request has a place for one, every log level up: no eight characters of any reach a file
# of the state folder, an answer, an error, or the process table.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin leak

key=$(a_key)
word=$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))') # no rule knows it: nothing else may show it either
label=$(tr '[:upper:]' '[:lower:]' <<<"$key")
# Two that the monitor knows from Hermes' file: one of no shape, and one that looks like a name people choose.
known=$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))')
phrase=$(python3 -c 'import secrets; print("-".join("".join(secrets.choice(c) for c in ("bdfgklmnprst", "aeiou") * 2) for _ in range(4)))')
said=$work/said
mkdir "$said"
mkdir -m 700 "$home" "$work/hermes"
tls_origin "$work"
printf 'ca_bundle = "%s"\n[known_secrets]\nenabled = true\n' "$work/ca.pem" >"$home/config.toml"
printf 'DEPLOY_TOKEN=%s\nexport DB_PASSWORD="%s"\n' "$known" "$phrase" >"$work/hermes/.env"
canary=none-yet

secrets() { printf '%s\n' "$key" "$word" "$known" "$phrase" "$canary"; }

# The test of the test: a piece of each is found where it is.
printf 'x%sx' "${key:20:8}" >"$work/control"
check "a piece of the key would be found" refuse leaks "$work/control" < <(secrets)
printf '%s' "$word" | base64 >"$work/control"
check "so would the other, in base64" refuse leaks "$work/control" < <(secrets)
printf '%s' "$label" >"$work/control"
check "and the key lower-cased, as a host" refuse leaks "$work/control" < <(secrets)

start_origin
start_helper sockets "$cmd/leak_places.py" origin
sockets=$address
start_helper secure python3 "$cmd/fake_openai.py" --seen "$work/secure.seen" --cert "$work/tls.pem" --key "$work/tls.key"
secure=$address
HTG_ENV=("RUST_LOG=trace,hyper=trace,hudsucker=trace,h2=trace,rustls=trace,hyper_util=trace" RUST_BACKTRACE=1 "HERMES_HOME=$work/hermes")
htg ca init >"$said/ca" 2>&1
start_monitor --export-every 1s --inspect-https
canary=$(htg canary new 2>"$said/canary")
knows() { htg status --json | python3 -c 'import json, sys; k = json.load(sys.stdin)["known"]; sys.exit([k["secrets"], k["canaries"]] != [2, 1])'; }
check "two known secrets and a canary are looked for" until_true 10 knows
port=${listen##*:}

# === planted ===

for secret in "$key" "$word" "$known" "$phrase" "$canary"; do
    json="{\"messages\":[{\"role\":\"user\",\"content\":\"my key is $secret, keep it\"}]}"
    send() { through -o /dev/null "$@" 2>/dev/null || true; }
    send "http://$origin/echo/$secret/x"
    send "http://$origin/echo?token=$secret"
    send "http://user:$secret@$origin/echo"
    send -H "Authorization: Bearer $secret" "http://$origin/echo"
    send -H "X-$secret: name" "http://$origin/echo"
    send -H "Cookie: session=$secret; a=b" "http://$origin/echo"
    send -H "Referer: http://example.test/?k=$secret" "http://$origin/echo"
    send -X "$(tr -dc '[:alpha:]' <<<"$secret")" "http://$origin/echo"
    send --data "form=$secret" "http://$origin/echo"
    send -H 'Content-Type: application/json' --data "$json" "http://$origin/echo"
    send -F "file=$secret" "http://$origin/echo"
    send -F "$secret=value" -F "file=@$work/ca.pem;filename=$secret.pem;type=text/$secret" "http://$origin/echo"
    send -k -H "X-Note: $secret" --data "$json" "https://$secure/v1/$secret"
    send -k --http1.1 -F "$secret=value" "https://$secure/v1/chat/completions"
    send --data-binary "@-" -H 'Content-Encoding: gzip' "http://$origin/echo" < <(gzip -c <<<"$json")
    send --data "$(printf '%s' "$secret" | base64 -w0)" "http://$origin/echo"
    send --data "$(printf '%s' "$secret" | od -An -tx1 | tr -d ' \n')" "http://$origin/echo"
    send "http://127.0.0.1:1/dead/$secret"
    send "http://$secret.invalid/"
    send "http://$label.localhost:${origin##*:}/echo"
    send "https://$secret.invalid/"
    send "https://$label.invalid:444/"
    send -H "Host: $secret.example.test" "http://$origin/echo"
    send -H 'Upgrade: websocket' -H 'Connection: Upgrade' -H "Sec-WebSocket-Protocol: $secret" "http://$origin/echo"
    curl -q -s --max-time 10 -o /dev/null --noproxy '' --proxy "http://guardian:$secret@$listen" "http://$origin/echo" || true
    curl -q -s --max-time 10 -o /dev/null --noproxy '' --proxy "http://$secret:x@$listen" "https://$origin/" || true

    credential=$(printf 'guardian:%s' "$(cat "$home/keys/proxy.token")" | base64 -w0)
    # What no client library would send. Each line is one connection.
    while IFS= read -r bytes; do
        ( # a shell of its own: what is refused early ends it by SIGPIPE
            printf '%b' "${bytes//SECRET/$secret}" >&3
            timeout 2 cat <&3 >/dev/null
        ) 3<>"/dev/tcp/127.0.0.1/$port" 2>/dev/null || true
    done <<WIRE
GET http://$origin/SECRET HTTP/9.9\r\n\r\n
SECRET\r\n\r\n
GET SECRET HTTP/1.1\r\nHost: SECRET\r\n\r\n
GET http://$origin/echo HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\nbad SECRET\r\n\r\n
GET http://[SECRET/echo HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\n\r\n
POST http://$origin/SECRET HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\nContent-Length: SECRET\r\n\r\n
POST http://$origin/d HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n\r\n
POST http://$origin/d HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1\r\na\r\n0\r\nX-T: SECRET\r\n\r\n
POST http://$origin/d HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\nContent-Length: 999\r\n\r\ncut SECRET short
CONNECT SECRET HTTP/1.1\r\nHost: SECRET\r\nProxy-Authorization: Basic $credential\r\n\r\n
CONNECT SECRET:99999 HTTP/1.1\r\nHost: SECRET:99999\r\nProxy-Authorization: Basic $credential\r\n\r\n
CONNECT $origin HTTP/1.1\r\nHost: $origin\r\nProxy-Authorization: Basic $credential\r\n\r\nSECRET in a tunnel\r\n\r\n
PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSECRET
WIRE
    direct -o /dev/null -X POST "http://$origin/echo" || true # and one that never came
done
secrets | python3 "$cmd/leak_places.py" websocket "$proxy" "$sockets" >"$work/websocket"
equal "WebSockets whose messages came back" "5 went through" "$(tail -n1 "$work/websocket")"
secrets | python3 "$cmd/leak_places.py" hello "$proxy" "$secure" >"$work/hello"
secrets | python3 "$cmd/leak_places.py" hello "$proxy" "$origin" >>"$work/hello"

some_dozen() { [[ $(findings pattern=ai_api_key direction=outbound) -ge 5 ]]; }
check "the key was seen: findings in the log" until_true 15 some_dozen
check "a known secret was seen" until_true 15 some_finding rule=known_secret.env_file severity=critical
check "a name that held one is not shown" until_true 15 some_finding pattern=known_secret placement=host "dest=[redacted]:80"
check "the canary was seen on its way out" until_true 15 some_finding pattern=canary direction=outbound
check "and on its way back" until_true 15 some_finding pattern=canary direction=inbound
check "the key was seen in a WebSocket" until_true 15 some_finding pattern=ai_api_key "dest=$sockets"
check "the key was seen inside TLS" until_true 15 some_finding pattern=ai_api_key protocol=https "dest=$secure"
check "the monitor is alive" kill -0 "$monitor"

# === and nowhere to be found ===

# Every answer there is, into files.
for verb in status "status --json" threats "threats --json" "threats --format jsonl" verify export "config show" "config check" "ca show" "keys show" doctor "canary list" "canary list --json"; do
    # shellcheck disable=SC2086  # a verb and its flags
    htg $verb >"$said/${verb// /_}" 2>&1 || true
done
printf '%s\n' "POST /x?k=$key HTTP/1.1" "Host: h.example" "" "$key" | htg scan --direction outbound >"$said/scan" 2>&1 || true
check "scan saw it" grep -q ai_api_key "$said/scan"
printf '%s\n' "$key" >"$work/bad.toml"
HTG_ENV+=("HERMES_TRAFFIC_GUARDIAN_CONFIG=$work/bad.toml")
htg config check >"$said/bad_config" 2>&1 || true
HTG_ENV=("${HTG_ENV[@]:0:3}")

mkdir "$work/process"
for file in cmdline environ comm; do
    for task in "/proc/$monitor" "/proc/$monitor"/task/*; do
        [[ -r $task/$file ]] && cat "$task/$file" >"$work/process/$file-${task##*/}"
    done
done

places() {
    leaks "$home" "$said" "$work/monitor.out" "$work/monitor.err" "$work/process" < <(secrets)
}
check "while it runs, no eight characters anywhere" places
printable 1 "$work/check.out"
stop_monitor
check "after it stopped, no eight characters anywhere" places
at_least "log lines read" 10 "$(cat "$home"/findings*.jsonl | wc -l)"
at_least "bytes of tracing read" 100 "$(cat "$work/monitor.err" "$work/monitor.out" | wc -c)"
check "the proxy's token is in its own file alone" refuse grep -rqF "$(cat "$home/keys/proxy.token")" \
    "$home" "$said" "$work/monitor.out" "$work/monitor.err" "$work/process" --exclude=proxy.token
check "no panic was survived" refuse grep -q panicked "$work/monitor.err"
finish

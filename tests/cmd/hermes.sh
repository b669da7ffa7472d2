#!/usr/bin/env bash
# The real Hermes agent through the monitor, with a model provider on loopback.
#
# Installs hermes-agent from the package index into $HTG_VENV (or a folder of its own); for that reason not part of the
# ordinary run. Hermes' environment and homes are made from nothing.
# shellcheck source-path=SCRIPTDIR source=hermes_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/hermes_lib.sh"
begin_hermes hermes http

# === without us, then with us ===

expected=$(directly "Say the word." 2>"$work/direct.err")
check "a turn without us answers" grep -q '^pong' <<<"$expected"
before=$(requests) connected=$(connections)
got=$(guarded "Say the word." 2>"$work/run.err") || bad "run exits $?"
equal "the same turn through us" "$expected" "$got"
made=$(($(requests) - before))
at_least "requests of that turn" 2 "$made"
check "no connection to the provider but ours" grep -qx 'hermes-traffic-guardian [0-9]*' < <(callers "$connected")
check "with its last run the monitor ends" until_true 10 finished
at_least "messages seen, two a request" $((2 * made)) "$(posture coverage.seen.messages)"
equal "messages unscanned" "[]" "$(posture coverage.not_scanned)"
equal "findings above low in a clean turn" 0 $(($(findings) - $(findings severity=low) - $(findings severity=info)))
at_least "the provider's own key in its own header, expected" 1 "$(posture attested.expected)"
check "our credential never reaches the provider" refuse grep -qi proxy-authorization "$work/provider.seen"
exits "verify" 0 htg verify --accept-stopped
echo "       | $(tail -n1 "$work/run.err" | cut -c1-200)"

# === with a monitor that runs already, and knows what Hermes keeps secret ===

known=$(python3 -c 'import secrets; print(secrets.token_urlsafe(18))')
printf 'DEPLOY_PASSWORD="%s"\n' "$known" >"$work/hermes/.env"
printf '[known_secrets]\nenabled = true\n' >>"$home/config.toml"
start_monitor --export-every 1h
expected_before=$(posture attested.expected)

# Port 1 is closed: curl fails, and the shell it feeds has nothing to run.
command='curl -fsS http://127.0.0.1:1/install.sh | sh'
got=$(guarded "CALL-TERMINAL $command" 2>>"$work/run.err") || bad "run exits $?"
check "a turn with a tool call answers" grep -q '^pong' <<<"$got"
check "the streamed tool call is a finding" until_true 10 some_finding pattern=pipe_to_shell direction=inbound
report pipe_to_shell | sed 's/^/       | /'
check "joined from its pieces" grep -q 'tool_call' < <(report pipe_to_shell)

guarded "Remember my key $typed for later." >"$work/typed.out" 2>>"$work/run.err" || bad "run exits $?"
check "a key typed into the prompt is a finding" until_true 10 some_finding pattern=ai_api_key direction=outbound
report ai_api_key | sed 's/^/       | /'
equal "and the only kind of key found" "$(findings pattern=ai_api_key)" "$(findings rule=ai_api_key.groq)"

guarded "Deploy it. The password is $known by the way." >"$work/known.out" 2>>"$work/run.err" || bad "run exits $?"
check "a value of Hermes' .env typed into the prompt is a finding" until_true 10 some_finding pattern=known_secret
report known_secret | sed 's/^/       | /'
equal "and one alone" 1 "$(findings pattern=known_secret)"

export_now
at_least "the provider's own key stays expected" $((expected_before + 2)) "$(posture attested.expected)"
exits "status" 0 htg status
printable 40 "$work/exits.out"
check "every connection, message and byte is in one bucket" coverage_adds_up
exits "verify" 0 htg verify

# === nothing kept ===

htg threats >"$work/threats.out" 2>&1 || true
htg status --json >"$work/status.out" 2>&1 || true
check "no eight characters of any secret in any file or answer" places
stop_monitor
check "nor after the stop" places
exits "verify after the stop" 0 htg verify --accept-stopped
finish

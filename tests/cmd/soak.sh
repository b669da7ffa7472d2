#!/usr/bin/env bash
# Half an hour of the real Hermes, turn after turn, a new session every twelve: nothing above low is found where nothing
# is wrong, each export verifies and follows the one before, and the monitor needs no more memory at the end than it did
# once it was warm.
#
# Installs hermes-agent from the package index into $HTG_VENV (or a folder of its own), and is no part of the ordinary
# run. The slope is a line fitted through what was resident after each turn, the first third left out as warming up.
#
#   tests/cmd/soak.sh            half an hour
#   SOAK_SECONDS=300 …           less of it
#   SOAK_SLOPE=4                 MiB an hour that the fitted line may rise (default 4)
# shellcheck source-path=SCRIPTDIR source=hermes_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/hermes_lib.sh"
begin_hermes soak http
seconds=${SOAK_SECONDS:-1800}
start_monitor --export-every 5s

mkdir -p "$work/project"
printf 'def add(a, b):\n    return a + b\n' >"$work/project/sums.py"
prompts=(
    "Say the word." "CALL-TERMINAL ls -la $work/project" "CALL-TERMINAL cat $work/project/sums.py"
    "Explain what that function does." "CALL-TERMINAL git --version" "CALL-TERMINAL python3 -m json.tool <<<'{\"a\": 1}'"
    "How do I set OPENAI_API_KEY in my shell?" "CALL-TERMINAL head -c 3000 /dev/urandom | base64"
    "CALL-TERMINAL env | cut -d= -f1 | sort | head" "CALL-TERMINAL rm -rf $work/project/build node_modules"
    "CALL-TERMINAL date -u" "Summarise what we did."
)

# verified: the export there is now is authentic and current; its number goes to $work/sequences.
verified() {
    htg verify --json >"$work/verify.json" || return 1
    posture sequence >>"$work/sequences"
}

turns=0 unanswered=0 unverified=0
began=$SECONDS
while ((SECONDS - began < seconds)); do
    further=()
    ((turns % ${#prompts[@]} == 0)) || further=(--continue)
    htg run -- hermes chat --yolo -Q "${further[@]}" -q "${prompts[turns % ${#prompts[@]}]}" \
        >"$work/turn.out" 2>>"$work/turns.err" </dev/null && grep -q pong "$work/turn.out" || unanswered=$((unanswered + 1))
    turns=$((turns + 1))
    echo "$((SECONDS - began)) $(awk '/^VmRSS/ { print $2 }' "/proc/$monitor/status")" >>"$work/resident"
    verified || unverified=$((unverified + 1))
done

at_least "turns" $((seconds / 60)) "$turns"
equal "turns that were not answered" 0 "$unanswered"
equal "exports that did not verify" 0 "$unverified"
equal "the monitor is the one that was started" alive "$(kill -0 "$monitor" && echo alive)"
check "no export has a lower number than one before it" sort -cn "$work/sequences"
export_now
check "coverage adds up" coverage_adds_up
at_least "messages seen, two a request" $((2 * $(requests))) "$(posture coverage.seen.messages)"
equal "messages dropped" 0 "$(python3 -c '
import json, sys
print(sum(r["messages"] for r in json.load(sys.stdin)["coverage"]["not_scanned"] if r["reason"] == "dropped"))' \
    <"$home/export/current/posture.json")"
equal "findings above low" 0 "$(($(findings) - $(findings severity=low) - $(findings severity=info)))"
slope=$(python3 -c '
import sys
points = [tuple(map(int, line.split())) for line in open(sys.argv[1])]
warm = points[len(points) // 3:]
n = len(warm)
mean_t, mean_r = sum(t for t, _ in warm) / n, sum(r for _, r in warm) / n
spread = sum((t - mean_t) ** 2 for t, _ in warm) or 1
kib = sum((t - mean_t) * (r - mean_r) for t, r in warm) / spread
print("%.2f %d %d %d" % (kib * 3600 / 1024, warm[0][1], warm[-1][1], max(r for _, r in points)))' "$work/resident")
read -r slope first last most <<<"$slope"
check "resident: $first KiB once warm, $last at the end, $most at most; the line rises $slope MiB an hour" \
    python3 -c 'import sys; sys.exit(not float(sys.argv[1]) <= float(sys.argv[2]))' "$slope" "${SOAK_SLOPE:-4}"
check "no eight characters of either key in any file or answer" places
stop_monitor
exits "verify after the stop" 0 htg verify --accept-stopped
finish

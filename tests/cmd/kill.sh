#!/usr/bin/env bash
# A monitor under load, asked for an export every 50 ms, killed and started again: a reader who resolves `current` once
# never sees a state and a posture of two exports; no finding that was in the log is ever lost; the log verifies after
# each start.
#
#   tests/cmd/kill.sh            15 rounds, about half a minute
#   ROUNDS=500 tests/cmd/kill.sh about a quarter of an hour on a quiet machine
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin kill
rounds=${ROUNDS:-15}

# Resolves `current` once, reads both documents and a signature inside, and says what does not belong together.
cat >"$work/reader.py" <<'PY'
import hashlib, json, os, signal, sys, time
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
home, read, highest = sys.argv[1], 0, 0
while going:
    try:
        folder = os.path.join(home, "export", os.readlink(os.path.join(home, "export", "current")))
    except FileNotFoundError:
        time.sleep(0.01)
        continue
    parts = {name: open(os.path.join(folder, name), "rb").read() for name in ("state.json", "posture.json", "posture.json.sig")}
    posture = json.loads(parts["posture.json"])
    if posture["state_sha256"] != hashlib.sha256(parts["state.json"]).hexdigest():
        sys.exit("mismatched: posture %d" % posture["sequence"])
    if posture["sequence"] != int(os.path.basename(folder)) or len(parts["posture.json.sig"]) != 89:
        sys.exit("torn: posture %d" % posture["sequence"])
    if posture["sequence"] < highest:
        sys.exit("went back: posture %d after %d" % (posture["sequence"], highest))
    read, highest = read + 1, posture["sequence"]
    time.sleep(0.001)
print(read)
PY

# Findings as the log has them, by what was matched: once there, they have to stay.
cat >"$work/seen.py" <<'PY'
import glob, json, sys
seen = set()
for name in sorted(glob.glob(sys.argv[1] + "/findings*.jsonl")):
    for line in open(name, "rb"):
        if line.endswith(b"\n"):
            record = json.loads(line)
            if "fingerprint" in record:
                seen.add(record["fingerprint"])
for fingerprint in sorted(seen):
    print(fingerprint)
PY
seen() { python3 "$work/seen.py" "$home"; }
# one_more: a finding came that was not in the log when this round began.
one_more() { [[ $(seen | wc -l) -gt $found ]]; }

start_origin
start_monitor --export-every 1s
until_true 10 test -e "$home/export/current" || bad "no first export"
python3 "$work/reader.py" "$home" >"$work/reader.out" 2>&1 &
reader=$!
started+=("$reader")
: >"$work/before"
lost=0 unverified=0 found=0
for round in $(seq "$rounds"); do
    (while true; do
        through -o /dev/null --data "note=$(a_key)" "http://$origin/echo" || true
    done) 2>/dev/null &
    load=$!
    rm -f "$work/enough"
    (until [[ -e $work/enough ]]; do
        htg export >/dev/null 2>&1 || true
        sleep 0.05
    done) &
    asker=$!
    # Every other time as early as it comes: before there is anything to lose, or any rule is ready.
    [[ $((round % 2)) == 0 ]] || until_true 20 one_more || bad "round $round: no finding within 20 s"
    sleep "0.$((RANDOM % 6 + 1))"
    seen >"$work/acknowledged"
    disown "$load" "$asker"
    # In the middle of whatever it does.
    signal_monitor KILL
    kill "$load" 2>/dev/null || true
    # An export that finds no monitor takes the lock itself: the next monitor begins when it has let go.
    touch "$work/enough"
    wait_gone "$asker" || bad "an export did not end within 15 s"
    sort -u "$work/before" "$work/acknowledged" >"$work/expected"
    start_monitor --export-every 1s
    htg verify >"$work/verify.out" 2>&1 || { unverified=$((unverified + 1)); printable 5 "$work/verify.out" >&2; }
    seen >"$work/before"
    missing=$(comm -23 "$work/expected" "$work/before" | wc -l)
    [[ $missing == 0 ]] || { lost=$((lost + missing)); echo "  round $round: $missing lost" >&2; }
    found=$(wc -l <"$work/before")
done
kill -TERM "$reader"
wait "$reader" || bad "the reader: $(tail -n1 "$work/reader.out")"
equal "rounds after which verify did not say 0" 0 "$unverified"
equal "findings lost" 0 "$lost"
at_least "findings in the log" $(((rounds + 1) / 2)) "$found"
at_least "times a reader saw a whole pair" "$rounds" "$(tail -n1 "$work/reader.out")"
at_least "gaps recorded" "$rounds" "$(cat "$home"/findings*.jsonl | grep -c '"gap"')"
stop_monitor
exits "verify at the end" 0 htg verify --accept-stopped
finish

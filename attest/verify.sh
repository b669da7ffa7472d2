#!/bin/sh
# Verifies a state folder, or a copy of one, with OpenSSL 3, coreutils and jq alone:    sh verify.sh DIR PUBLIC_KEY_PEM
# Exit 0 if all of it holds, 1 if something is not authentic, 3 if it is and the monitor is not at work. The key is the
# one that signs now, obtained apart from the folder: this follows no key rotation, and leaves the recount to others.
set -eu
home=$1 key=$2 work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
die() { echo "not verified: $*" >&2; exit 1; }
hash() { sha256sum | cut -d' ' -f1; }
get() { jq -r "$1" "$work/posture.json"; }
take() { [ -f "$home/export/$newest/$1" ] && head -c 1048577 "$home/export/$newest/$1" >"$work/$1"; } # a file, with an end

newest=$(readlink "$home/export/current") || die "there is no export/current" # once: a monitor at work moves it
echo "$newest" | grep -Eqx '[0-9]{12}' || die "export/current leads elsewhere"
for name in posture.json state.json; do
    { take "$name" && take "$name.sig"; } || die "$name is missing"
    base64 -d "$work/$name.sig" >"$work/sig" 2>/dev/null || die "$name.sig is not base64"
    base64 -w 0 "$work/sig" | sed 's/$/\n/' | cmp -s - "$work/$name.sig" || die "$name.sig is not one line of base64"
    openssl pkeyutl -verify -rawin -pubin -inkey "$key" -sigfile "$work/sig" -in "$work/$name" >/dev/null 2>&1 ||
        die "$name: the signature does not match"
    jq -cjS . "$work/$name" | cmp -s - "$work/$name" || die "$name is not canonical"
    [ "$(jq -cjS 'del(.digests)' "$work/$name" | hash)" = "$(jq -r .digests.canonical_sha256 "$work/$name")" ] ||
        die "$name: its digest of itself does not hold"
done
[ "$(get .state_sha256)" = "$(hash <"$work/state.json")" ] || die "the state is not the posture's"

next=$(get .finding_log.next_seq) want=$(get .finding_log.first_seq) tab=$(printf '\t') first= head=$(printf clawsec-traffic-log/v1 | hash)
{ for file in "$home"/findings-????????????.jsonl "$home/findings.jsonl"; do [ ! -f "$file" ] || cat "$file"; done; echo torn; } |
    cut -b -65537 | jq -Rr '. as $line | ((fromjson? | objects) // {}) |
    [(.seq // "-" | tostring), (.prev_sha256 // "-"), $line] | join("\t")' >"$work/log" 2>/dev/null || true
while IFS=$tab read -r seq prev line && [ "$want" -lt "$next" ]; do
    [ -n "$first" ] || [ "$seq" = "$want" ] || continue # pruned, and still there
    [ -n "$first" ] || { first=$seq; [ "$seq" = 1 ] || head=$prev; }
    [ "$seq" = "$want" ] && [ "$prev" = "$head" ] || die "record $want of the log is altered or missing"
    head=$(printf %s "$line" | hash) want=$((want + 1))
done <"$work/log"
[ "$want" = "$next" ] && [ "$head" = "$(get .finding_log_sha256)" ] || die "the log is not the one that was signed"
get '"authentic: posture \(.sequence) of \(.generated_at), \(.monitor_status), valid until \(.valid_until), records to \(.finding_log.next_seq - 1)"'
[ "$(get ".monitor_status == \"running\" and .valid_until >= \"$(date -u +%FT%T.000Z)\"")" = true ] || exit 3

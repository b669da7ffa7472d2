#!/usr/bin/env bash
# What a real monitor writes, in the hands of programs that are not ours: the in-toto envelope by securesystemslib and
# in-toto-attestation, every document by PyPI's jsonschema, findings as SARIF and OCSF by the schemas that @microsoft/jest-sarif,
# ocsf-json-schema and py-ocsf-models carry, the whole folder by attest/verify.sh and by a Node verifier.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin formats
venv formats 'securesystemslib[crypto]' in-toto-attestation jsonschema ocsf-json-schema py-ocsf-models

a_finding() { through -o /dev/null --data "note=$(a_key)" "http://$origin/echo"; }
by_hand() { sh "$root/attest/verify.sh" "$home" "$home/signing.pub.pem"; }
by_node() { node "$cmd/independent.mjs" "$home" "$home/signing.pub.pem" "$@"; }
# enveloped NAME: an export in an envelope, and the posture it is of.
enveloped() {
    htg export --format dsse >"$work/$1.dsse"
    cp "$home/export/current/posture.json" "$work/$1.json"
}

start_origin
start_monitor --export-every 1h
export_now
cp "$home/export/current/posture.json" "$work/before.json"
a_finding
check "a finding in the log" until_true 10 some_finding pattern=ai_api_key

# === in-toto ===

check "an export in an envelope" enveloped live
check "the envelope is of a new export" refuse cmp -s "$work/before.json" "$work/live.json"
judged() { "$python" "$cmd/dsse.py" "$work/$1.dsse" "$work/$1.json" "$home/signing.pub.pem" "$work/before.json"; }
check "securesystemslib and in-toto-attestation" judged live
ok "$(cat "$work/check.out")"
exits "an envelope is JSON already" 64 htg export --format dsse --json
exits "no such format" 64 htg export --format intoto

# === SARIF and OCSF ===

sarif_schema() {
    (cd "$work" && npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0 </dev/null >/dev/null)
    tar -xzf "$work"/microsoft-jest-sarif-*.tgz -C "$work" package/lib/schemas/sarif-2.1.0-rtm.5.json
}
foreign() { "$python" "$cmd/foreign.py" "$work/threats.$1" "$1" "$work/package/lib/schemas/sarif-2.1.0-rtm.5.json"; }
two_findings() { [[ $(findings pattern=ai_api_key) -ge 2 ]]; }
a_finding
check "another finding in the log" until_true 10 two_findings
check "the SARIF schema" sarif_schema
for each in sarif ocsf; do
    htg threats --format "$each" >"$work/threats.$each" || bad "threats --format $each"
    check "findings as $each fit its schema" foreign "$each"
    ok "$(cat "$work/check.out")"
done

# === by hand and by Node, at work ===

check "attest/verify.sh of a monitor at work" by_hand
exits "Node of a monitor at work" 0 by_node
exits "verify" 0 htg verify --write-verdict
exits "verify with a memory of its own" 0 htg verify --memory "$work/memory.json"
exits "Node with the same memory" 0 by_node --memory "$work/memory.json"

# === another key ===

cp "$home/signing.pub.pem" "$work/older.pem"
exits "keys rotate" 0 htg keys rotate
exits "verify from the older key" 0 htg verify "$home" --public-key "$work/older.pem"
exits "verify that remembers the older key" 0 htg verify --memory "$work/memory.json"
exits "Node from the older key" 0 node "$cmd/independent.mjs" "$home" "$work/older.pem"
check "attest/verify.sh with the newer key" by_hand
exits "attest/verify.sh knows no rotation" 1 sh "$root/attest/verify.sh" "$home" "$work/older.pem"

# === stopped ===

stop_monitor
check "an envelope without a monitor" enveloped stopped
check "the same two of it" judged stopped
exits "attest/verify.sh of one that was stopped" 3 by_hand
exits "Node of one that was stopped" 3 by_node
exits "and accepted" 0 by_node --accept-stopped
exits "as verify has it" 0 htg verify --accept-stopped

# === schemas ===

mkdir "$work/schemas"
names=(posture state finding event verdict rotation memory)
for each in "${names[@]}"; do htg schema "$each" >"$work/schemas/$each.json" || bad "schema $each"; done
fit() { "$python" "$cmd/schemas.py" "$work/schemas" "$home" "$home/verdict.json=verdict" "$work/memory.json=memory"; }
check "every document of this run fits its schema" fit
ok "$(cat "$work/check.out")"
exits "no such schema" 64 htg schema nonsense

# === what is no file ===

cp -a "$home" "$work/copy"
copied() { timeout 10 sh "$root/attest/verify.sh" "$work/copy" "$home/signing.pub.pem"; }
exits "attest/verify.sh of a copy" 3 copied
rm "$work/copy/findings.jsonl"
mkfifo "$work/copy/findings.jsonl"
exits "attest/verify.sh of a pipe in the place of the log" 1 copied
ln -sf /dev/zero "$work/copy/export/$(readlink "$work/copy/export/current")/posture.json"
exits "attest/verify.sh of a device in the place of a document" 1 copied

# === damaged ===

sed -i 's/"severity":"high"/"severity":"info"/' "$home/findings.jsonl"
exits "attest/verify.sh of an edited log" 1 by_hand
exits "Node of an edited log" 1 by_node --accept-stopped
exits "verify of an edited log" 1 htg verify --accept-stopped
finish

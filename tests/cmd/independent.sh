#!/usr/bin/env bash
# Two verifiers that share no code with ours, each over every folder that the tests of `attest` make, good and damaged:
# independent.mjs, which must give the answer `verify` gives, and attest/verify.sh, which knows no reader's wishes and must
# tell what is authentic from what is not. Needs cargo, Node, openssl and jq, and no monitor.
#
#   tests/cmd/independent.sh                       two minutes, once the tests are built
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
HTG=${HTG:-/bin/true}
[[ -x $HTG ]] || HTG=/bin/true
begin independent

cases=$work/cases
mkdir "$cases"
# As `cargo test --workspace` built them: of the one package alone they would be built anew, with fewer features.
tests_of_attest() {
    (cd "$root" && cargo test --quiet --workspace --test it --no-run --message-format=json) |
        jq -r 'select(.executable and (.target.src_path | endswith("/attest/tests/it/main.rs"))).executable'
}
made() {
    local tests
    tests=$(tests_of_attest) && (cd "$root/attest" && HTG_CASES=$cases "$tests" --quiet)
}
check "the tests of attest, their folders kept" made
at_least "folders kept" 600 "$(find "$cases" -mindepth 1 -maxdepth 1 | wc -l)"
check "Node gives each the answer verify gives" node "$cmd/independent.mjs" --cases "$cases"
ok "Node: $(tail -n1 "$work/check.out")"

# shown: some cases of every answer, one a line: the folder, the exit and the code.
shown() {
    python3 - "$cases" <<'PYTHON'
import json, os, sys
seen = {}
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name, "case.json")) as opened:
        case = json.load(opened)
    pinned = case["anchor"].startswith("-----BEGIN")
    plain = pinned and case["memory"] is None and case["baseline"] is None
    rotated = os.path.exists(os.path.join(sys.argv[1], name, "home", "rotations.jsonl"))
    # Damage at random is Node's.
    random = "never_verif" in name or "mutations" in name
    if not plain or rotated or random:
        continue
    key = (case["exit"], case["code"])
    seen[key] = seen.get(key, 0) + 1
    if seen[key] <= (30 if case["exit"] == 0 else 8):
        with open(os.path.join(sys.argv[1], name, "anchor.pem"), "w") as anchor:
            anchor.write(case["anchor"])
        print(name, *key)
PYTHON
}
# What the script leaves to others: the recount, the schema and the name of the key, the word that prunes, the generations
# around this one, a clock set wrong, a copy without links.
left='counts|named_key|log_prefix|decreased|rolled_back|generation|unknown_version|document|clock_.*|rotation_.*|retired_key|before_pinned'
right=0 told=0
while read -r each exit code; do
    [[ $code =~ ^($left)$ || ! -L $cases/$each/home/export/current && $exit == 0 ]] && continue
    status=0
    sh "$root/attest/verify.sh" "$cases/$each/home" "$cases/$each/anchor.pem" >"$work/said" 2>&1 || status=$?
    # The folders are of a day in the past: authentic is 3 to the script, whatever the clock of the test said.
    case $exit in 0 | 2 | 3) expected=3 ;; *) expected=1 ;; esac
    told=$((told + 1))
    if [[ $status == "$expected" ]]; then right=$((right + 1)); else bad "$each: verify $exit $code, the script $status"; fi
done < <(shown)
equal "the script tells the authentic from the rest" "$told" "$right"
at_least "folders it was shown" 60 "$told"
finish

# shellcheck shell=bash
# What the scripts of the real Hermes share: its home, a provider on loopback, and turns with and without us.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# begin_hermes NAME SCHEME [FLAG-OF-THE-PROVIDER…]: leaves $provider, and two keys nobody ever issued: $own, which is
# the provider's, and $typed, another vendor's. Hermes comes from the package index, into $HTG_VENV if that is set.
begin_hermes() {
    local scheme=$2
    begin "$1"
    shift 2
    venv hermes hermes-agent
    own=$(a_key)
    typed=gsk_$(python3 -c 'import secrets, string
print("".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(52)))')

    start_helper provider python3 "$cmd/fake_openai.py" --seen "$work/provider.seen" "$@"
    provider=$address
    mkdir -p "$work/hermes" "$home"
    chmod 700 "$home"
    cat >"$work/hermes/config.yaml" <<YAML
model:
  provider: custom:loopback
  default: loopback-1
custom_providers:
  - name: loopback
    base_url: $scheme://$provider/v1
    api_key: $own
    model: loopback-1
YAML
    # The provider is no vendor's host: the operator says whose keys belong there.
    cat >"$home/config.toml" <<TOML
[[audience]]
scheme = "$scheme"
host = "127.0.0.1"
port = ${provider##*:}
vendors = ["openai"]
TOML
    HTG_ENV=(HERMES_HOME="$work/hermes" PATH="${python%/*}:/usr/local/bin:/usr/bin:/bin")
}

# directly PROMPT, guarded PROMPT: one turn each; Hermes' answer on stdout. GUARDED may add flags of `run`.
GUARDED=()
directly() { env -i HOME="$work" "${HTG_ENV[@]}" timeout 120 hermes -z "$1" </dev/null; }
guarded() { htg run "${GUARDED[@]}" -- hermes -z "$1" </dev/null; }

requests() { grep -c '"method"' "$work/provider.seen"; }

# callers: who connected to the provider since its connection number $1, and how often.
callers() {
    python3 -c '
import collections, json, sys
lines = map(json.loads, open(sys.argv[1]))
callers = [line["caller"] for line in lines if "caller" in line][int(sys.argv[2]):]
print(", ".join("%s %d" % pair for pair in sorted(collections.Counter(callers).items())))' "$work/provider.seen" "$1"
}
connections() { grep -c '"caller"' "$work/provider.seen"; }

# report PATTERN: its findings, a line each.
report() {
    python3 -c '
import json, sys
for line in open(sys.argv[1] + "/findings.jsonl"):
    r = json.loads(line)
    if r.get("pattern") == sys.argv[2]:
        print(r["direction"], r["rule"], r["severity"], r["dest"], "+".join(r["encoding"]), r["snippet"])' "$home" "$1"
}

finished() { [[ $(posture ended) == run_finished ]]; }

# places: fails where eight characters of either key, or of $known, stand in anything we wrote or said.
places() {
    leaks "$home" "$work"/*.out "$work"/*.err < <(printf '%s\n' "$own" "$typed" ${known:+"$known"})
}

#!/usr/bin/env bash
# How quiet it is on ordinary text: what lies on a machine of a developer, each file scanned as if it went out and as if
# it came in. Nobody planted anything there, so nearly every finding is one too many; each kind is listed with the rule,
# so that it can be looked at.
#
# Not part of the ordinary run: 2 GB take a quarter of an hour of one core, at the lowest priority, and the answer depends
# on the machine. Text files of up to a megabyte count, and those of one name and size once.
#
#   tests/cmd/quiet.sh [FOLDER…]     other folders than cargo's sources, /usr/share, python's and node's packages
#   QUIET_BYTES=200000000            less of it (default 2000000000)
#   QUIET_MOST=2                     texts in 1,000 that may be flagged above low, each way, private keys in sources of
#                                    cryptography aside; a path mentioned is low
#   QUIET_SHOW=FILE                  where the places are written: path, rule and severity, never what was found
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
begin quiet

folders=("$@")
if [[ ${#folders[@]} == 0 ]]; then
    folders=("${CARGO_HOME:-$HOME/.cargo}/registry/src" /usr/share/doc /usr/share/man /usr/share/perl /usr/lib/python3 \
        /usr/lib/python3* /usr/local/lib /usr/lib/node_modules /usr/include /usr/share)
fi
show=${QUIET_SHOW:-$work/places}
nice -n 19 python3 "$cmd/quiet.py" --htg "$HTG" --bytes "${QUIET_BYTES:-2000000000}" --show "$show" "${folders[@]}" |
    tee "$work/rates"
for direction in outbound inbound; do
    rate=$(sed -n "s/^$direction .* others above low: .* = \([0-9.]*\) per 1,000$/\1/p" "$work/rates")
    check "$direction: above low ${rate:-?} per 1,000 texts, at most ${QUIET_MOST:-2}" \
        python3 -c 'import sys; sys.exit(not float(sys.argv[1]) <= float(sys.argv[2]))' "${rate:-nan}" "${QUIET_MOST:-2}"
done
finish

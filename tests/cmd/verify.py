#!/usr/bin/env python3
"""Checks an export from its files alone, with `cryptography` and the standard library: no code of the guardian's.

    verify.py GENERATION PUBLIC_KEY_PEM [LOG_FOLDER]

The signatures, the key's name, the digests, the link from posture to state, and with a log folder the whole chain: each
line's link, its numbers, and the head the posture signs. Exit 1 with the reason at the first thing that does not hold.
"""

import base64
import glob
import hashlib
import json
import os
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

GENESIS = hashlib.sha256(b"clawsec-traffic-log/v1").hexdigest()


def canonical(document):
    """RFC 8785 for what our documents hold: ASCII member names, integers, no floats."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def require(condition, reason):
    if not condition:
        sys.exit("verify.py: " + reason)


def read(path):
    with open(path, "rb") as opened:
        return opened.read()


def signed(folder, name, key):
    """The document `name`, its bytes checked against its signature, its form and its own digest."""
    data, line = read(os.path.join(folder, name)), read(os.path.join(folder, name + ".sig"))
    signature = base64.b64decode(line, validate=False)
    require(line == base64.b64encode(signature) + b"\n", name + ".sig is not one line of padded base64")
    try:
        key.verify(signature, data)
    except InvalidSignature:
        require(False, name + ": the signature does not match")
    document = json.loads(data)
    require(canonical(document) == data, name + " is not canonical")
    rest = {member: value for member, value in document.items() if member != "digests"}
    own = {"algorithm": "sha256", "canonical_sha256": hashlib.sha256(canonical(rest)).hexdigest()}
    require(document["digests"] == own, name + ": its own digest does not match")
    return document, data


def key_id(key):
    """The keyid TUF and securesystemslib give the key."""
    public = key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
    name = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
    return hashlib.sha256(canonical(name)).hexdigest()


def check_chain(folder, posture):
    """Every record up to the signed head links into the one before, and they count as the posture says."""
    first, end = posture["finding_log"]["first_seq"], posture["finding_log"]["next_seq"]
    head, expected, linked, prune, found = GENESIS if first == 1 else None, first, None, None, 0
    segments = sorted(glob.glob(os.path.join(folder, "findings-*.jsonl")))
    for path in segments + [os.path.join(folder, "findings.jsonl")]:
        for line in read(path).split(b"\n")[:-1]:
            record = json.loads(line)
            if record["seq"] >= end:
                break
            require(canonical(record) == line, "record %d is not canonical" % record["seq"])
            prune = record.get("event", {}).get("prune", prune)
            if record["seq"] < first:
                continue  # pruned, and still there
            require(record["seq"] == expected, "expected record %d, found %d" % (expected, record["seq"]))
            linked = linked or record["prev_sha256"]
            require(record["prev_sha256"] == (head or linked), "record %d does not link into the one before" % expected)
            head, expected = hashlib.sha256(line).hexdigest(), expected + 1
            found += "rule" in record
    require(expected == end, "the posture speaks of %d records, the log ends before %d" % (end, expected))
    require(head == posture["finding_log_sha256"], "the log's head is not the one that was signed")
    if prune or first > 1:
        says = prune and (prune["last_seq"] + 1, prune["last_sha256"])
        require(says == (first, linked), "no signed prune event says that the log begins at record %d" % first)
        found += prune["counts"]["findings"]
    require(found == posture["counts"]["findings"], "findings: %d in the log" % found)
    return found


def main():
    generation, public = sys.argv[1], sys.argv[2]
    generation = os.path.realpath(generation)  # once: what `current` means may change while reading
    key = load_pem_public_key(read(public))
    posture, _ = signed(generation, "posture.json", key)
    state, state_bytes = signed(generation, "state.json", key)
    for document in (posture, state):
        require(document["key_id"] == key_id(key), "key_id is not the key's")
    require(posture["state_sha256"] == hashlib.sha256(state_bytes).hexdigest(), "the state is another one")
    said = "posture %d, state %s…" % (posture["sequence"], posture["state_sha256"][:12])
    if len(sys.argv) > 3:
        said += ", %d findings in a whole chain" % check_chain(sys.argv[3], posture)
    print(said)


if __name__ == "__main__":
    main()

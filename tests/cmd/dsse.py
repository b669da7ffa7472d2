#!/usr/bin/env python3
"""The envelope of `export --format dsse`, judged by unmodified securesystemslib and in-toto-attestation.

    dsse.py ENVELOPE POSTURE PUBLIC_KEY_PEM ANOTHER_POSTURE

Accepted as it is; refused with anything in it changed. Exit 1 with the reason at the first thing that does not hold.
"""

import copy
import hashlib
import json
import sys

import google.protobuf.json_format as pb_json
import in_toto_attestation.v1.statement_pb2 as statement_pb
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey


def require(condition, reason):
    if not condition:
        sys.exit("dsse.py: " + reason)


def canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def statement(payload):
    """The payload as in-toto's own types read it."""
    parsed = Statement.copy_from_pb(pb_json.Parse(payload, statement_pb.Statement()))
    parsed.validate()
    return parsed


def accepts(envelope, key, posture):
    """A reader of in-toto: the signature, the statement, and its subject held against the file."""
    try:
        read = Envelope.from_dict(copy.deepcopy(envelope))
        read.verify([key], 1)
        require(read.payload_type == "application/vnd.in-toto+json", "the payload is of another type")
        said = statement(read.payload)
    except (SystemExit, Exception):  # each library has its own
        return False
    subjects = [(s.name, dict(s.digest)) for s in said.pb.subject]
    return subjects == [("posture.json", {"sha256": hashlib.sha256(posture).hexdigest()})]


def changed(envelope, posture, other):
    """Each tampering and its name."""

    def edit(name, change):
        tampered = copy.deepcopy(envelope)
        change(tampered)
        require(tampered != envelope, name + " changed nothing")
        return name, tampered

    def payload(change):
        def apply(tampered):
            body = Envelope.from_dict(copy.deepcopy(envelope)).payload
            tampered["payload"] = Envelope(change(body), "", {}).to_dict()["payload"]

        return apply

    def sign_anew(tampered):
        signer = CryptoSigner(Ed25519PrivateKey.generate())
        read = Envelope.from_dict(copy.deepcopy(tampered))
        read.signatures = {}
        signature = read.sign(signer).to_dict()
        signature["keyid"] = envelope["signatures"][0]["keyid"]
        tampered["signatures"] = [dict(signature, sig=Envelope(bytes.fromhex(signature["sig"]), "", {}).to_dict()["payload"])]

    yield edit("another payload type", lambda t: t.update(payloadType="application/json"))
    yield edit("a number in the predicate", payload(lambda b: b.replace(b'"sequence":', b'"sequence":1', 1)))
    yield edit("another subject", payload(lambda b: b.replace(b"posture.json", b"posture.yaml", 1)))
    yield edit("another predicate type", payload(lambda b: b.replace(b"posture:v1", b"posture:v2", 1)))
    yield edit("a blank in the payload", payload(lambda b: b + b" "))
    yield edit("the posture alone", payload(lambda _: posture))
    yield edit("a payload cut short", payload(lambda b: b[:-1]))
    yield edit("another key's identifier", lambda t: t["signatures"][0].update(keyid="0" * 64))
    yield edit("no signature", lambda t: t.update(signatures=[]))
    yield edit("another key's signature", sign_anew)
    for at in (0, 40, 80):
        def flip(tampered, at=at):
            digits = tampered["signatures"][0]["sig"]
            tampered["signatures"][0]["sig"] = digits[:at] + ("A" if digits[at] != "A" else "B") + digits[at + 1 :]

        yield edit("digit %d of the signature" % at, flip)


def main():
    with open(sys.argv[1], "rb") as opened:
        line = opened.read()
    posture, pem, other = (open(name, "rb").read() for name in sys.argv[2:5])
    envelope = json.loads(line)
    key = SSlibKey.from_crypto(load_pem_public_key(pem))
    require(line == canonical(envelope) + b"\n", "the envelope is not canonical JSON and LF")
    require(key.keyid == envelope["signatures"][0]["keyid"], "keyid is not the one securesystemslib gives the key")
    require(accepts(envelope, key, posture), "not accepted as it is")
    require(not accepts(envelope, key, other), "accepted beside another posture")
    payload = Envelope.from_dict(copy.deepcopy(envelope)).payload
    require(canonical(json.loads(payload)["predicate"]) == posture, "the predicate is not the posture")
    names = []
    for name, tampered in changed(envelope, posture, other):
        require(not accepts(tampered, key, posture), "accepted with " + name)
        names.append(name)
    print("accepted, and refused with " + ", ".join(names))


if __name__ == "__main__":
    main()

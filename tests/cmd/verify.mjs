#!/usr/bin/env node
// Checks an export from its files alone, with Node's own crypto, as hermes-attestation-guardian reads files:
//
//     node verify.mjs GENERATION PUBLIC_KEY_PEM
//
// crypto.verify over the file's bytes, and the canonical digest as that guardian computes it: members sorted at every
// depth, JSON.stringify, `digests` left out. Exit 1 with the reason at the first thing that does not hold.

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const [generationArgument, publicKeyPath] = process.argv.slice(2);
const generation = fs.realpathSync(generationArgument);
const publicKey = crypto.createPublicKey(fs.readFileSync(publicKeyPath, "utf8"));

function require(condition, reason) {
  if (!condition) {
    console.error(`verify.mjs: ${reason}`);
    process.exit(1);
  }
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest("hex");

function signed(name) {
  const bytes = fs.readFileSync(path.join(generation, name));
  const signature = Buffer.from(fs.readFileSync(path.join(generation, `${name}.sig`), "utf8").trim(), "base64");
  require(signature.length === 64, `${name}.sig holds ${signature.length} bytes`);
  require(crypto.verify(null, bytes, publicKey, signature), `${name}: the signature does not match`);

  const document = JSON.parse(bytes.toString("utf8"));
  require(JSON.stringify(sorted(document)) === bytes.toString("utf8"), `${name} is not canonical`);
  const { digests, ...rest } = document;
  require(digests.algorithm === "sha256", `${name}: unknown digest ${digests.algorithm}`);
  require(digests.canonical_sha256 === sha256(JSON.stringify(sorted(rest))), `${name}: its own digest does not match`);

  const flipped = Buffer.from(bytes);
  flipped[flipped.length >> 1] ^= 1;
  require(!crypto.verify(null, flipped, publicKey, signature), `${name}: a flipped bit went unnoticed`);
  return { document, bytes };
}

const posture = signed("posture.json");
const state = signed("state.json");
require(posture.document.state_sha256 === sha256(state.bytes), "the state is another one");
console.log(`posture ${posture.document.sequence}, state ${posture.document.state_sha256.slice(0, 12)}…`);

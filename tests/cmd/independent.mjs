#!/usr/bin/env node
// A verifier that shares nothing with the guardian's but `attest/FORMAT.md` and `posture/schemas`.
//
//     node independent.mjs DIR PUBLIC_KEY_PEM [--accept-stopped] [--max-age SECONDS]
//     node independent.mjs --cases FOLDER      each case in it, as the tests of `attest` keep them: same answer?
//
// Exits as `verify` does: 0, 1 not authentic, 2 drifted, 3 not current or degraded, 74 unverifiable.

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";

class Refusal extends Error {
  constructor(exit, why) {
    super(why);
    this.exit = exit;
  }
}
const refuse = (why, exit = 1) => {
  throw new Refusal(exit, why);
};
const require = (holds, why, exit) => holds || refuse(why, exit);

const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest("hex");
const MAX_DOCUMENT = 1024 * 1024;
const MAX_LINE = 65536;
const COMPARED = 128;
const NUMBERED = /^[0-9]{12}$/;
const GENESIS = sha256("clawsec-traffic-log/v1");

// === Files: regular ones, and no more of them than a document may have ===

function read(file, most = MAX_DOCUMENT) {
  const bytes = contents(file, most + 1);
  require(bytes.length <= most, `${file}: too large`);
  return bytes;
}

function open(file) {
  let found;
  try {
    found = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (e) {
    refuse(`${file}: ${e.code}`, e.code === "ENOENT" ? 1 : 74);
  }
  if (fs.fstatSync(found).isFile()) return found;
  fs.closeSync(found);
  refuse(`${file}: not a regular file`, 74);
}

function contents(file, most) {
  const opened = open(file);
  const buffer = Buffer.alloc(Math.min(most, fs.fstatSync(opened).size + 1));
  let length = 0;
  for (let n = 1; n > 0 && length < buffer.length; length += n) n = fs.readSync(opened, buffer, length, buffer.length - length, null);
  fs.closeSync(opened);
  return buffer.subarray(0, length);
}

function stat(file) {
  try {
    return fs.statSync(file);
  } catch (e) {
    return { isFile: () => false, missing: e.code === "ENOENT" };
  }
}

const isFile = (file) => stat(file).isFile();

// === JSON: one spelling ===

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

const canonical = (value) => Buffer.from(JSON.stringify(sorted(value)));

function wellFormed(value) {
  if (typeof value === "string") return value.isWellFormed();
  if (value === null || typeof value !== "object") return true;
  return Object.entries(value).every(([name, v]) => name.isWellFormed() && wellFormed(v));
}

function parse(bytes, what) {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    refuse(`${what}: not JSON`);
  }
}

const isCanonical = (value, bytes) => wellFormed(value) && canonical(value).equals(bytes);

// === The published schemas, by the words they use ===

const schemas = Object.fromEntries(
  ["posture", "state", "finding", "event", "rotation", "memory"].map((name) => {
    const file = new URL(`../../posture/schemas/${name}.json`, import.meta.url);
    return [name, JSON.parse(fs.readFileSync(file, "utf8"))];
  }),
);

const TYPES = {
  object: (v) => v !== null && typeof v === "object" && !Array.isArray(v),
  array: Array.isArray,
  string: (v) => typeof v === "string",
  boolean: (v) => typeof v === "boolean",
  integer: Number.isSafeInteger,
  null: (v) => v === null,
};

const WORDS = {
  $ref: (ref, v, root) => fits(root.$defs[ref.replace("#/$defs/", "")], v, root),
  type: (type, v) => [type].flat().some((t) => TYPES[t](v)),
  enum: (all, v) => all.includes(v),
  const: (one, v) => v === one,
  pattern: (pattern, v) => typeof v !== "string" || new RegExp(pattern, "u").test(v),
  format: (format, v) => format !== "date-time" || typeof v !== "string" || isTime(v),
  maxLength: (most, v) => typeof v !== "string" || v.length <= most,
  minimum: (least, v) => typeof v !== "number" || v >= least,
  maximum: (most, v) => typeof v !== "number" || v <= most,
  required: (names, v) => !TYPES.object(v) || names.every((name) => Object.hasOwn(v, name)),
  items: (each, v, root) => !Array.isArray(v) || v.every((item) => fits(each, item, root)),
  anyOf: (all, v, root) => all.some((s) => fits(s, v, root)),
  oneOf: (all, v, root) => all.filter((s) => fits(s, v, root)).length === 1,
  properties: (all, v, root) =>
    !TYPES.object(v) || Object.entries(all).every(([name, s]) => !Object.hasOwn(v, name) || fits(s, v[name], root)),
  additionalProperties: (allowed, v, root, schema) =>
    allowed !== false || !TYPES.object(v) || Object.keys(v).every((name) => Object.hasOwn(schema.properties ?? {}, name)),
};
const SAID = new Set(["$id", "$schema", "$defs", "title", "description"]);

function fits(schema, value, root = schema) {
  return Object.entries(schema).every(([word, argument]) => {
    if (SAID.has(word)) return true;
    if (!Object.hasOwn(WORDS, word)) throw new Error(`a schema says ${word}, and nobody here knows what that means`);
    return WORDS[word](argument, value, root, schema);
  });
}

const isTime = (text) => {
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString() === text;
};

// === Keys and signatures, strictly ===

const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const P = 2n ** 255n - 19n;
// The y of the eight points of small order.
const SMALL = ["01", "00", "ec" + "ff".repeat(30) + "7f", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
  .map((hex) => hex.padEnd(64, "0"));

function isSound(point) {
  const y = Buffer.from(point);
  y[31] &= 0x7f;
  return !SMALL.includes(y.toString("hex")) && BigInt(`0x${Buffer.from(y).reverse().toString("hex")}`) < P;
}

function publicKey(raw) {
  require(isSound(raw), "the key is weak, or in a second spelling");
  const id = canonical({ keytype: "ed25519", scheme: "ed25519", keyval: { public: raw.toString("hex") } });
  try {
    const key = crypto.createPublicKey({ key: Buffer.concat([SPKI, raw]), format: "der", type: "spki" });
    return { key, raw, id: sha256(id) };
  } catch {
    refuse("the key is no key");
  }
}

function pemKey(pem) {
  const match = /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]+)\n-----END PUBLIC KEY-----\n$/.exec(pem);
  const der = Buffer.from(match?.[1] ?? "", "base64");
  const whole = der.length === 44 && der.subarray(0, 12).equals(SPKI) && der.toString("base64") === match[1];
  require(whole, "the anchor is no public key in PEM");
  return publicKey(der.subarray(12));
}

function signature(text) {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 64 && bytes.toString("base64") === text ? bytes : undefined;
}

// OpenSSL refuses S at or above the group order and an R that is not what it computes; small order is left to us.
const signed = (key, bytes, sig) => sig !== undefined && isSound(sig.subarray(0, 32)) && crypto.verify(null, bytes, key.key, sig);

// === Documents ===

// A signed document, step by step.
function document(name, file, bytes, key) {
  const line = read(`${file}.sig`).toString("latin1");
  const sig = line.endsWith("\n") ? signature(line.slice(0, -1)) : undefined;
  require(sig, `${file}.sig: not a line of base64`);
  require(signed(key, bytes, sig), `${file}: the signature does not match`);
  const value = parse(bytes, file);
  const version = TYPES.object(value) ? value.schema_version : undefined;
  const family = `clawsec-traffic-${name}/v`;
  if (version !== `${family}1`) refuse(`${file}: another document`, String(version).startsWith(family) ? 74 : 1);
  require(isCanonical(value, bytes), `${file}: not canonical`);
  require(fits(schemas[name], value), `${file}: not of its schema`);
  const { digests, ...rest } = value;
  require(digests.canonical_sha256 === sha256(canonical(rest)), `${file}: its digest of itself does not hold`);
  require(value.key_id === key.id, `${file}: names another key`);
  return value;
}

// === Key rotation ===

// The keys, each with the first posture it signs, as the reader sees them who pinned `anchor`.
function keyring(file, anchor) {
  const alone = { keys: [{ from: 0, ...anchor }], statements: [], pinned: 0 };
  if (stat(file).missing) return alone;
  const text = read(file);
  const statements = [];
  const keys = [];
  let previous = null;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(10, at);
    require(end >= 0, `${file}: torn`);
    const line = text.subarray(at, end);
    at = end + 1;
    const { value, old, next } = statement(line, file);
    const last = statements.at(-1);
    const goesOn =
      statements.every((s) => s.old_key_id !== value.old_key_id) &&
      value.number === statements.length + 1 &&
      value.previous_sha256 === previous &&
      (!last || (value.old_key_id === last.new_key_id && value.from_sequence > last.from_sequence && value.log_seq > last.log_seq)) &&
      value.from_sequence > 0 && value.log_seq > 0 &&
      next.id !== old.id && keys.every((k) => k.id !== next.id);
    require(goesOn, `${file}: statement ${value.number} does not follow`);
    if (keys.length === 0) keys.push({ from: 0, ...old });
    keys.push({ from: value.from_sequence, ...next });
    statements.push(value);
    previous = sha256(line);
  }
  if (keys.length === 0) return alone;
  const pinned = keys.findIndex((k) => k.id === anchor.id);
  require(pinned >= 0, "the pinned key is none of those of the rotations");
  return { keys, statements, pinned };
}

function statement(line, file) {
  const value = parse(line, file);
  require(TYPES.object(value) && isCanonical(value, line), `${file}: not canonical`);
  const family = "clawsec-traffic-rotation/v";
  const version = String(value.schema_version);
  require(version.startsWith(family), `${file}: not a statement`);
  const { old_signature, new_signature, ...rest } = value;
  const [old, next] = [value.old_public_key, value.new_public_key].map((hex) => {
    require(/^[0-9a-f]{64}$/.test(hex), `${file}: not a key`);
    return publicKey(Buffer.from(hex, "hex"));
  });
  for (const [key, text] of [[old, old_signature], [next, new_signature]]) {
    require(signed(key, canonical(rest), signature(String(text))), `${file}: a key did not sign`);
  }
  require(version === `${family}1`, `${file}: a version not known here`, 74);
  require(fits(schemas.rotation, value), `${file}: not of its schema`);
  require(value.old_key_id === old.id && value.new_key_id === next.id, `${file}: identifiers of other keys`);
  return { value, old, next };
}

const place = (ring, sequence) => ring.keys.findLastIndex((key) => key.from <= sequence);
const signer = (ring, sequence) => ring.keys[Math.max(0, place(ring, sequence))];

// === The log ===

function* lines(folder) {
  const newest = path.join(folder, "findings.jsonl");
  const isThere = !stat(newest).missing;
  if (isThere) fs.closeSync(open(newest));
  const sealed = fs.readdirSync(folder).filter((name) => /^findings-[0-9]{12}\.jsonl$/.test(name)).sort();
  const segments = sealed.map((name) => path.join(folder, name));
  const same = (a, b) => a.dev === b.dev && a.ino === b.ino;
  if (isThere && !segments.some((s) => same(stat(s), stat(newest)))) segments.push(newest);
  require(segments.length > 0, "there is no log");
  for (const segment of segments) yield* linesOf(segment);
}

function* linesOf(segment) {
  const opened = open(segment);
  let buffer = Buffer.alloc(0);
  try {
    for (;;) {
      const end = buffer.indexOf(10);
      require((end < 0 ? buffer.length : end) <= MAX_LINE, `${segment}: a line without end`);
      if (end >= 0) {
        yield { bytes: buffer.subarray(0, end), whole: true };
        buffer = buffer.subarray(end + 1);
        continue;
      }
      const more = Buffer.alloc(MAX_LINE + 1);
      const n = fs.readSync(opened, more, 0, more.length, null);
      if (n === 0) break;
      buffer = Buffer.concat([buffer, more.subarray(0, n)]);
    }
    if (buffer.length > 0) yield { bytes: buffer, whole: false };
  } finally {
    fs.closeSync(opened);
  }
}

// One record: `value` is undefined for one of a version not known here.
function record(bytes, seq) {
  const value = parse(bytes, `record ${seq}`);
  const kind = bytes.subarray(0, 9).toString() === '{"event":' ? "event" : "finding";
  const link = { prev: value?.prev_sha256, seq: value?.seq };
  if (TYPES.object(value) && value.schema_version === `clawsec-traffic-${kind}/v1` && fits(schemas[kind], value)) {
    require(isCanonical(value, bytes), `record ${seq}: not canonical`);
    return { ...link, kind, value };
  }
  const linked = TYPES.object(value) && Number.isSafeInteger(link.seq) && /^[0-9a-f]{64}$/.test(link.prev);
  const version = String(value?.schema_version);
  const known = /^clawsec-traffic-(event|finding)\/v1$/.test(version);
  require(linked && !known && version.startsWith("clawsec-traffic-"), `record ${seq}: not a record`);
  return link;
}

// Follows the chain over everything signed, and counts.
function checkLog(folder, posture, ring, then) {
  const { first_seq: first, next_seq: next } = posture.finding_log;
  const rotations = new Map(ring.statements.map((s) => [s.log_seq, s]));
  const met = new Set();
  const counts = { direction: new Map(), family: new Map(), severity: new Map(), findings: 0, folded: 0 };
  let [head, at, begun] = first <= 1 ? [GENESIS, 1, true] : [GENESIS, first, false];
  let [beforeFirst, prefix, unknown, unstated, thenHead] = [];
  const look = () => {
    if (then === at) thenHead = head;
  };
  for (const { bytes, whole } of next > 1 && at < next ? lines(folder) : []) {
    require(whole, "the log is cut");
    if (!begun) {
      // What is left of pruned records need only chain into the rest.
      const { prev_sha256, seq } = parse(bytes, "the first record") ?? {};
      require(Number.isSafeInteger(seq) && seq <= first, "the log begins after the first record retained");
      [head, at, begun] = [prev_sha256, seq, true];
    }
    look();
    if (at === first) beforeFirst = head;
    const { kind, value, prev, seq } = record(bytes, at);
    require(seq === at && prev === head, `record ${at} is not chained to the one before`);
    [head, at] = [sha256(bytes), at + 1];
    if (!kind) unknown = true;
    else if (kind === "finding" && seq >= first) {
      counts.findings += 1;
      for (const [by, name] of [["direction", value.direction], ["family", value.pattern], ["severity", value.severity]]) {
        counts[by].set(name, (counts[by].get(name) ?? 0) + 1);
      }
    } else if (kind === "event") {
      const { fold, prune, recovery, rotate } = value.event;
      if (fold && seq >= first) counts.folded += fold.count;
      if (prune) prefix = { first: prune.last_seq + 1, before: prune.last_sha256, counts: prune.counts };
      if (recovery) prefix = { first: seq, before: prev, counts: recovery.totals.counts, anew: true };
      if (rotate) {
        const said = rotations.get(seq);
        const same = said && ["new_key_id", "number", "old_key_id"].every((name) => said[name] === rotate[name]);
        if (same && said.log_head === head) met.add(seq);
        if (said ? !same : ring.keys.some((key) => key.id === rotate.new_key_id)) unstated = true;
      }
    }
    if (at >= next) break;
  }
  require(at === next, `the log ends before record ${at}`);
  require(head === posture.finding_log_sha256, "the log is not the one that was signed");
  require(!unknown, "a record of a version not known here", 74);
  look();
  const begins = prefix ? prefix.first === first && prefix.before === beforeFirst && !(prefix.anew && first === 1) : first === 1;
  require(begins, "nothing signed says that the log begins there");
  require(canonical(summed(counts, prefix?.counts)).equals(canonical(posture.counts)), "other counts than the log's");
  const unmet = ring.statements.find((s) => s.log_seq >= first && s.log_seq < next && !met.has(s.log_seq));
  require(!unmet && !unstated, "the log and the rotations do not agree");
  return { thenHead };
}

function summed(counts, before) {
  const sum = { findings: counts.findings + (before?.findings ?? 0), folded: counts.folded + (before?.folded ?? 0) };
  for (const by of ["direction", "family", "severity"]) {
    const all = counts[by];
    for (const { name, count } of before?.[by] ?? []) all.set(name, (all.get(name) ?? 0) + count);
    sum[by] = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => ({ name, count }));
  }
  return sum;
}

// === The folder ===

function generations(exports) {
  let names;
  try {
    names = fs.readdirSync(exports);
  } catch {
    refuse("no export yet", 74);
  }
  const files = ["posture.json", "posture.json.sig", "state.json", "state.json.sig"];
  const whole = (name) => files.every((file) => isFile(path.join(exports, name, file)));
  return names.filter((name) => NUMBERED.test(name) && whole(name)).map(Number).sort((a, b) => a - b);
}

function current(exports) {
  let target;
  try {
    target = fs.readlinkSync(path.join(exports, "current"));
  } catch (e) {
    if (e.code === "ENOENT") return generations(exports).at(-1) ?? refuse("no export yet", 74);
    refuse("`current` is no link", e.code === "EINVAL" ? 1 : 74);
  }
  require(NUMBERED.test(target), "`current` leads elsewhere");
  return Number(target);
}

const within = (exports, number) => path.join(exports, String(number).padStart(12, "0"));

function anchorOf(asked, folder) {
  require(asked.anchor !== "none", "no key is pinned");
  if (asked.anchor !== "own") return pemKey(asked.anchor);
  const file = path.join(folder, "signing.pub.pem");
  require(!stat(file).missing, "there is no anchor", 74);
  return pemKey(read(file, 65536).toString("latin1"));
}

// Another generation's posture, if it is signed by the key of its own time.
function retained(exports, number, ring) {
  const file = path.join(within(exports, number), "posture.json");
  try {
    const bytes = read(file);
    return { value: document("posture", file, bytes, signer(ring, number)), sha256: sha256(bytes) };
  } catch (e) {
    if (e instanceof Refusal) return undefined;
    throw e;
  }
}

// What never decreases.
function counters(posture) {
  const { counts, finding_log, attested, coverage } = posture;
  const all = new Map();
  const add = (name, numbers) => Object.entries(numbers).forEach(([n, v]) => all.set(`${name}.${n}`, v));
  add("counts", { findings: counts.findings, folded: counts.folded });
  add("finding_log", finding_log);
  add("attested", attested);
  add("seen", coverage.seen);
  add("scanned", coverage.scanned);
  for (const { reason, ...numbers } of coverage.not_scanned) if (reason !== "in_progress") add(reason, numbers);
  return all;
}

function authentic(asked, folder) {
  const exports = path.join(folder, "export");
  const number = current(exports);
  const anchor = anchorOf(asked, folder);
  const ring = keyring(path.join(folder, "rotations.jsonl"), anchor);
  const [file, stateFile] = ["posture.json", "state.json"].map((name) => path.join(within(exports, number), name));
  const bytes = read(file);
  const posture = document("posture", file, bytes, signer(ring, number));
  require(posture.sequence === number, "the posture is another generation's");
  require(place(ring, number) >= ring.pinned, "of the time before the pinned key");
  const stateBytes = read(stateFile);
  require(sha256(stateBytes) === posture.state_sha256, "the state is another one");
  document("state", stateFile, stateBytes, signer(ring, number));
  const then = asked.memory;
  const { thenHead } = checkLog(folder, posture, ring, then?.next_seq);

  const all = generations(exports);
  const now = counters(posture);
  for (const earlier of all.filter((n) => n < number).slice(-COMPARED)) {
    const before = retained(exports, earlier, ring)?.value;
    if (before) for (const [name, value] of counters(before)) require((now.get(name) ?? -1) >= value, `${name} fell`);
  }
  for (const later of all.filter((n) => n > number).slice(-COMPARED)) {
    require(retained(exports, later, ring)?.value.sequence !== later, `rolled back: ${later} stands beside it`, 3);
  }
  require(ring.statements.every((s) => s.log_seq < posture.finding_log.next_seq), "a rotation no posture signs");
  if (then && !asked.accept_restore) {
    const next = then.sequence + 1 === number ? posture : retained(exports, then.sequence + 1, ring)?.value;
    const before =
      then.sequence === number
        ? sha256(bytes)
        : (retained(exports, then.sequence, ring)?.sha256 ?? next?.previous_sha256 ?? undefined);
    const follows =
      posture.install_id === then.install_id &&
      [then.anchor_key_id, then.newest_key_id].every((id) => ring.keys.some((key) => key.id === id)) &&
      number >= then.sequence &&
      (before === undefined || before === then.posture_sha256) &&
      posture.finding_log.next_seq >= then.next_seq &&
      (thenHead === undefined || thenHead === then.log_head);
    require(follows, "not what follows on what is remembered", 3);
  }
  return posture;
}

function verify(folder, asked) {
  if (isFile(folder)) {
    require(!["own", "none"].includes(asked.anchor), "no key is pinned");
    document("posture", folder, read(folder), pemKey(asked.anchor));
    refuse("partial: the posture alone", 74);
  }
  const posture = authentic(asked, folder);
  const [made, until, now] = [posture.generated_at, posture.valid_until, asked.now].map(Date.parse);
  require(made - now <= 120_000, "made in the future", 3);
  require(until - made === posture.period_seconds * 3000, "not valid for three periods", 3);
  const stopped = posture.monitor_status === "stopped";
  const onPurpose = ["operator_stop", "run_finished"].includes(posture.ended);
  require(!stopped || (asked.accept_stopped && onPurpose), "stopped", 3);
  if (asked.max_age_ms !== null) require(now - made <= asked.max_age_ms, "too old", 3);
  else require(stopped || now <= until, "expired", 3);
  require(posture.monitor_status !== "degraded" && posture.degraded_reasons.length === 0, "degraded", 3);
  require(asked.baseline === null || asked.baseline === posture.state_sha256, "drifted", 2);
}

function answer(folder, asked) {
  try {
    verify(folder, asked);
    return { exit: 0, why: "verified" };
  } catch (e) {
    if (e instanceof Refusal) return { exit: e.exit, why: e.message };
    throw e;
  }
}

// === The command line ===

const args = process.argv.slice(2);
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
if (option("--cases")) {
  const cases = fs.readdirSync(option("--cases")).sort();
  const seen = {};
  let differ = 0;
  for (const name of cases) {
    const folder = path.join(option("--cases"), name);
    const asked = JSON.parse(fs.readFileSync(path.join(folder, "case.json"), "utf8"));
    const { exit, why } = answer(path.join(folder, asked.path), asked);
    seen[exit] = (seen[exit] ?? 0) + 1;
    if (exit === asked.exit) continue;
    differ += 1;
    console.error(`${name}: verify says ${asked.exit} ${asked.code}, this one ${exit} (${why})`);
  }
  const spread = Object.entries(seen).map(([exit, n]) => `${n} of exit ${exit}`).join(", ");
  console.log(`${cases.length - differ} of ${cases.length} folders agree: ${spread}`);
  process.exit(differ > 0 || cases.length === 0 ? 1 : 0);
}
const asked = {
  anchor: args[1] === undefined ? "none" : fs.readFileSync(args[1], "latin1"),
  now: new Date().toISOString(),
  max_age_ms: option("--max-age") === undefined ? null : Number(option("--max-age")) * 1000,
  accept_stopped: args.includes("--accept-stopped"),
  baseline: null,
};
const { exit, why } = answer(args[0], asked);
console.log(why);
process.exit(exit);

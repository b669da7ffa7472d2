#!/usr/bin/env python3
"""Scans ordinary files in batches, both ways, and says how often which rule spoke.

    quiet.py --htg BINARY --bytes N --show FILE FOLDER…

The binary gets a few megabytes at a time, on stdin. Private keys are counted apart: sources of cryptography are full of
them, whole, and they are rightly found. FILE gets one line a finding: path, direction, severity and rule.
"""

import argparse
import collections
import gzip
import json
import os
import subprocess
import sys

BATCH_BYTES = 8 << 20
MOST_BYTES = 1 << 20
ABOVE_LOW = ("medium", "high", "critical")


def texts(folders, most):
    """(path, text) of every ordinary text file once, until there are `most` bytes."""
    seen, total = set(), 0
    for folder in folders:
        for at, below, names in os.walk(folder):
            below.sort()
            for name in sorted(names):
                path = os.path.join(at, name)
                text = read(path, name, seen)
                if text is not None:
                    yield path, text
                    total += len(text)
                    if total >= most:
                        return


def read(path, name, seen):
    """The text of a file not seen before, or nothing."""
    try:
        if os.path.islink(path) or not os.path.isfile(path):
            return None
        size = os.path.getsize(path)
        if not 0 < size <= MOST_BYTES or (name, size) in seen:
            return None
        seen.add((name, size))
        with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
            raw = file.read(MOST_BYTES)
        return None if b"\0" in raw else raw.decode()
    except (OSError, EOFError, UnicodeDecodeError, ValueError):
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--htg", required=True)
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--show", required=True)
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    count, size = 0, 0
    flagged = collections.defaultdict(set)
    rules = collections.Counter()

    def scan(batch, show):
        for direction in ("outbound", "inbound"):
            lines = "".join(json.dumps({"id": p, "direction": direction, "text": t}) + "\n" for p, t in batch)
            done = subprocess.run([options.htg, "scan", "--jsonl"], input=lines.encode(), stdout=subprocess.PIPE, check=False, env={"HOME": "/nonexistent"})
            if done.returncode not in (0, 1):
                sys.exit(f"scan: exit {done.returncode}")
            for line in done.stdout.splitlines():
                hit = json.loads(line)
                flagged[direction].add(hit["id"])
                if hit["severity"] in ABOVE_LOW:
                    kind = "keys" if hit["pattern"] == "private_key_pem" else "above low"
                    flagged[direction, kind].add(hit["id"])
                rules[direction, hit["severity"], hit["rule"]] += 1
                show.write(f"{hit['id']}\t{direction}\t{hit['severity']}\t{hit['rule']}\t{'+'.join(hit['encoding'])}\n")

    with open(options.show, "w", encoding="utf-8") as show:
        batch, held = [], 0
        for path, text in texts(options.folders, options.bytes):
            batch.append((path, text))
            held += len(text)
            count, size = count + 1, size + len(text)
            if held >= BATCH_BYTES:
                scan(batch, show)
                batch, held = [], 0
        if batch:
            scan(batch, show)
    if not count:
        sys.exit("no text files there")
    print(f"{count} texts, {size / 1e6:.0f} MB")
    for direction in ("outbound", "inbound"):
        any_, keys, above = (len(flagged[k]) for k in (direction, (direction, "keys"), (direction, "above low")))
        print(f"{direction} flagged: {any_} = {1000 * any_ / count:.2f} per 1,000; private keys: {keys}; others above low: {above} = {1000 * above / count:.2f} per 1,000")
    for (direction, severity, rule), n in rules.most_common():
        print(f"  {n:6} {direction:9}{severity:9}{rule}")


if __name__ == "__main__":
    main()

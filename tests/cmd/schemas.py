#!/usr/bin/env python3
"""What a real monitor wrote, against the schemas the binary prints, by PyPI's `jsonschema`.

    schemas.py SCHEMA_FOLDER HOME [FILE=NAME…]

Every generation, every line of the log and of rotations.jsonl, and each FILE against the schema NAME. Exit 1 with the place at the
first that does not fit; and each must cease to fit when a member is added or taken away.
"""

import glob
import json
import os
import sys

from jsonschema import Draft202012Validator, FormatChecker


def validator(path):
    with open(path, "rb") as opened:
        schema = json.load(opened)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def documents(home, files):
    """Where, what and of which schema."""
    for name in ("posture", "state"):
        for path in sorted(glob.glob(os.path.join(home, "export/0*/%s.json" % name))):
            yield path, json.load(open(path, "rb")), name
    for path in sorted(glob.glob(os.path.join(home, "findings*.jsonl"))):
        for line in open(path, "rb"):
            record = json.loads(line)
            yield path, record, "event" if "event" in record else "finding"
    for path in glob.glob(os.path.join(home, "rotations.jsonl")):
        for line in open(path, "rb"):
            yield path, json.loads(line), "rotation"
    for word in files:
        path, name = word.rsplit("=", 1)
        yield path, json.load(open(path, "rb")), name


def main():
    folder, home, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    schemas = {os.path.basename(p)[:-5]: validator(p) for p in glob.glob(os.path.join(folder, "*.json"))}
    seen = {}
    for path, document, name in documents(home, files):
        for problem in schemas[name].iter_errors(document):
            sys.exit("schemas.py: %s: %s: %s" % (path, "/".join(map(str, problem.absolute_path)), problem.message[:200]))
        for member in document:
            less = {m: v for m, v in document.items() if m != member}
            if schemas[name].is_valid(less):
                sys.exit("schemas.py: %s fits without %s" % (path, member))
        if schemas[name].is_valid(dict(document, unknown=1)):
            sys.exit("schemas.py: %s fits with a member more" % path)
        seen[name] = seen.get(name, 0) + 1
    print(", ".join("%d of %s" % (n, name) for name, n in sorted(seen.items())))


if __name__ == "__main__":
    main()

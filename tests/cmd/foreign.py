#!/usr/bin/env python3
"""Findings in formats of others, by the schemas others publish.

    foreign.py FILE sarif|ocsf SARIF_SCHEMA

Exit 1 with the place at the first that does not fit; and each must cease to fit when a member is added or a needed one taken away.
"""

import copy
import json
import sys

from jsonschema import validators


def sarif(text, schema_path):
    """One log, by its JSON Schema."""
    with open(schema_path, "rb") as opened:
        schema = json.load(opened)
    kind = validators.validator_for(schema)
    kind.check_schema(schema)
    log = json.loads(text)
    valid = kind(schema).is_valid
    for error in kind(schema).iter_errors(log):
        sys.exit("sarif: %s: %s" % (error.json_path, error.message))
    results = log["runs"][0]["results"]
    broken = copy.deepcopy(log)
    broken["runs"][0]["results"][0]["nonsense"] = 1
    lacking = copy.deepcopy(log)
    del lacking["runs"][0]["tool"]
    if valid(broken) or valid(lacking):
        sys.exit("the schema takes anything")
    return len(results)


def ocsf(text, _schema_path):
    """A Detection Finding a line: by JSON Schema of the version it names, and by a model of it."""
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
    from py_ocsf_models.events.findings.detection_finding import DetectionFinding

    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        whole = OcsfJsonSchemaEmbedded(get_ocsf_schema(event["metadata"]["version"]))
        schema = whole.get_class_schema(class_name="detection_finding", profiles=[])
        kind = validators.validator_for(schema)
        for error in kind(schema).iter_errors(event):
            sys.exit("ocsf: %s: %s" % (error.json_path, error.message))
        DetectionFinding.model_validate(event)
        lacking = {name: value for name, value in event.items() if name != "finding_info"}
        if kind(schema).is_valid(dict(event, nonsense=1)) or kind(schema).is_valid(lacking):
            sys.exit("the schema takes anything")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            sys.exit("ocsf: type_uid is not of its class and activity")
    return len(events)


path, name, schema = sys.argv[1:]
with open(path, encoding="utf-8") as opened:
    count = {"sarif": sarif, "ocsf": ocsf}[name](opened.read(), schema)
if count < 2:
    sys.exit("%d findings are too few to tell" % count)
print("%s: %d findings" % (name, count))

//! The JSON Schema (2020-12) of each document: data files, which a test derives from the types anew.
//!
//! A schema says what one document may hold by itself. What binds it to others, its canonical spelling and its signature
//! are `attest`'s.

/// The JSON Schema of one kind of document.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The document's short name, such as `posture`.
    pub name: &'static str,
    /// The document's `schema_version`. The schema's `$id` is the same as a URN.
    pub schema_version: &'static str,
    /// The schema: JSON, with a line end.
    pub text: &'static str,
}

/// Every one.
pub const ALL: [Schema; 7] = [
    Schema { name: "posture", schema_version: crate::POSTURE_SCHEMA, text: include_str!("../schemas/posture.json") },
    Schema { name: "state", schema_version: crate::STATE_SCHEMA, text: include_str!("../schemas/state.json") },
    Schema { name: "finding", schema_version: crate::FINDING_SCHEMA, text: include_str!("../schemas/finding.json") },
    Schema { name: "event", schema_version: crate::EVENT_SCHEMA, text: include_str!("../schemas/event.json") },
    Schema { name: "verdict", schema_version: crate::VERDICT_SCHEMA, text: include_str!("../schemas/verdict.json") },
    Schema { name: "rotation", schema_version: crate::ROTATION_SCHEMA, text: include_str!("../schemas/rotation.json") },
    Schema { name: "memory", schema_version: crate::MEMORY_SCHEMA, text: include_str!("../schemas/memory.json") },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, FindingRecord, MAX_INTEGER, Memory, Posture, Rotation, State, Verdict};
    use schemars::{JsonSchema, generate::SchemaSettings};
    use serde_json::{Map, Value, json};
    use std::io::Write;

    fn derived(name: &str) -> Value {
        match name {
            "posture" => of::<Posture>(),
            "state" => of::<State>(),
            "finding" => of::<FindingRecord>(),
            "event" => of::<Event>(),
            "verdict" => of::<Verdict>(),
            "rotation" => of::<Rotation>(),
            "memory" => of::<Memory>(),
            other => panic!("no type for {other}"),
        }
    }

    fn of<T: JsonSchema>() -> Value {
        let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
        tidy(&mut schema);
        let version = schema["properties"]["schema_version"]["const"].as_str().unwrap().to_owned();
        schema["$id"] = format!("urn:{}", version.replace('/', ":")).into();
        schema["title"] = version.into();
        schema["properties"]["schema_version"]["description"] = "What this document is, and its version.".into();
        schema
    }

    /// What holds for every document and the types do not say.
    fn tidy(schema: &mut Value) {
        match schema {
            Value::Array(each) => each.iter_mut().for_each(tidy),
            Value::Object(members) => {
                members.values_mut().for_each(tidy);
                tidy_object(members);
            }
            _ => {}
        }
    }

    fn tidy_object(schema: &mut Map<String, Value>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            // A member that may be null is there all the same.
            let required: Vec<_> = properties.keys().cloned().collect();
            schema.insert("required".into(), json!(required));
        }
        if schema.get("format").is_some_and(|f| f == "uint64") {
            schema.remove("format");
            schema.insert("maximum".into(), json!(MAX_INTEGER));
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = plain(text);
        }
    }

    /// A documentation comment without its links.
    fn plain(comment: &str) -> String {
        let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut parts = text.split("[`");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |plain, part| {
            let (link, rest) = part.split_once("`]").unwrap();
            plain + "`" + link.rsplit("::").next().unwrap() + "`" + rest
        })
    }

    #[test]
    fn the_files_are_what_the_types_say() {
        for schema in ALL {
            let expected = serde_json::to_string_pretty(&derived(schema.name)).unwrap() + "\n";
            if std::env::var_os("HTG_RENEW").is_some() {
                let path = format!("{}/schemas/{}.json", env!("CARGO_MANIFEST_DIR"), schema.name);
                std::fs::File::create(path).unwrap().write_all(expected.as_bytes()).unwrap();
                continue;
            }
            assert_eq!(schema.text, expected, "{}: with HTG_RENEW=1 this test writes it anew", schema.name);
        }
    }

    #[test]
    fn each_names_its_document() {
        for schema in ALL {
            let value: Value = serde_json::from_str(schema.text).unwrap();
            assert_eq!(value["properties"]["schema_version"]["const"], schema.schema_version);
            assert_eq!(value["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert!(value["description"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }

    #[test]
    fn every_object_is_closed_and_every_member_described() {
        fn look(name: &str, schema: &Value) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                assert_eq!(schema["additionalProperties"], false, "{name}");
                for (member, value) in properties {
                    let variant =
                        schema["required"].as_array().is_some_and(|r| r.len() == 1) && value.get("$ref").is_some();
                    assert!(
                        variant || value.get("description").is_some() || schema.get("description").is_some(),
                        "{name}.{member}"
                    );
                }
            }
            match schema {
                Value::Array(each) => each.iter().for_each(|s| look(name, s)),
                Value::Object(members) => members.iter().for_each(|(n, s)| look(n, s)),
                _ => {}
            }
        }
        for schema in ALL {
            look(schema.name, &serde_json::from_str(schema.text).unwrap());
        }
    }
}

//! The checked-in JSON Schema is the one of the types: `cargo test -p limbic-affect --features schema`.
//!
//! With `LIMBIC_UPDATE=1` the test writes the file anew.
#![cfg(feature = "schema")]

use limbic_affect::Event;
use serde_json::Value;

#[test]
fn checked_in_schema_is_the_schema_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/event.schema.json");
    let schema = serde_json::to_value(schemars::schema_for!(Event)).unwrap();
    if std::env::var_os("LIMBIC_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let checked_in: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(
        checked_in == schema,
        "runtime/affect/schema/event.schema.json is not the schema of the event types; if the change is meant, run \
         LIMBIC_UPDATE=1 cargo test -p limbic-affect --features schema"
    );
}

#[test]
fn the_schema_names_every_kind_and_reason() {
    let schema = serde_json::to_string(&schemars::schema_for!(Event)).unwrap();
    for name in [
        "observation",
        "fused",
        "no_answer",
        "no_speech",
        "no_face",
        "unsupported_language",
        "too_short",
        "below_threshold",
    ] {
        assert!(schema.contains(&format!("\"{name}\"")), "{name}");
    }
}

//! What is JSON is read as another reader reads it, and what is not is refused; types check what they take.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::collections::BTreeMap;

use limbic_json::{Faults, Kind, Value, choices, fields, from_slice};
use proptest::prelude::*;

/// The same tree, as the other reader holds it.
fn same(ours: &Value, other: &serde_json::Value) -> bool {
    match (ours.kind(), other) {
        (Kind::Null, serde_json::Value::Null) => true,
        (Kind::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Kind::Number(a), serde_json::Value::Number(b)) => {
            a.parse::<f64>().unwrap().to_bits() == b.as_f64().unwrap().to_bits()
        }
        (Kind::Text(a), serde_json::Value::String(b)) => **a == **b,
        (Kind::List(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Kind::Table(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| same(value, &b[&**key]))
        }
        _ => false,
    }
}

fn check(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    match (
        Value::from_json(text),
        serde_json::from_slice::<serde_json::Value>(text),
    ) {
        (Ok(ours), Ok(other)) => assert!(same(&ours, &other), "{shown}: {ours:?}"),
        (Err(_), Err(_)) => {}
        // The other reader keeps the last of two values.
        (Err(ours), Ok(_)) => assert!(ours.to_string().contains("twice"), "{shown}: {ours}"),
        (Ok(_), Err(other)) => panic!("{shown}: {other}"),
    }
}

#[test]
fn edges_of_the_grammar_are_read_as_another_reader_does() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true",
        "false ",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "{}",
        "{ }",
        "{,}",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "0",
        "-0",
        "-",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e+",
        "1E5",
        "1e-5",
        "1e400",
        "-1e400",
        "1e-400",
        "123456789012345678901234567890",
        "18446744073709551615",
        "+1",
        "0x1",
        "NaN",
        "Infinity",
        "\"",
        "\"\\",
        "\"\\u",
        "\"a\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"é\u{1F600}\"",
        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "[1] 2",
        "\u{feff}1",
        "// a\n1",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":[{}]}}",
        "\u{a0}1",
        "[1e5,-2.25,0.1]",
    ] {
        check(text.as_bytes());
    }
    check(b"\"\xff\"");
    for depth in [126, 127, 128, 129, 100_000] {
        check(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
    }
}

fn documents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop::num::f64::NORMAL.prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_is_read_whole(document in documents()) {
        for text in [serde_json::to_vec(&document).unwrap(), serde_json::to_vec_pretty(&document).unwrap()] {
            prop_assert!(same(&Value::from_json(&text).unwrap(), &document));
        }
    }

    #[test]
    fn a_damaged_document_is_judged_as_another_reader_does(
        document in documents(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"\"\\{}[]:,0159eE+-.untf \n\x00\x1f\xc3".to_vec()),
        cut in any::<bool>(),
    ) {
        let mut text = serde_json::to_vec(&document).unwrap();
        let at = at.index(text.len());
        if cut {
            text.truncate(at);
        } else {
            text[at] = byte;
        }
        check(&text);
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Rows,
    Columns,
}
choices!(Order { Rows = "rows", Columns = "columns" });

#[derive(Debug, PartialEq)]
struct Picture {
    width: u32,
    order: Order,
    scale: f32,
    range: [f64; 2],
    name: Option<String>,
    parts: BTreeMap<String, usize>,
    inner: Vec<Inner>,
}
fields!(Picture {
    width,
    order,
    scale = 0.5,
    range = [0.0, 1.0],
    name = None,
    parts = BTreeMap::new(),
    inner = Vec::new(),
});

#[derive(Debug, PartialEq)]
struct Inner {
    zero: i32,
    on: bool,
}
fields!(Inner { zero, on = false });

#[test]
fn fields_are_taken_by_name_and_those_left_out_have_their_defaults() {
    let all = br#"{"inner": [{"on": true, "zero": -3}], "parts": {"b": 2}, "name": "x", "range": [1, 2e1], "scale": 0.1,
        "order": "columns", "width": 4294967295}"#;
    let picture: Picture = from_slice(all).unwrap();
    let expected = Picture {
        width: u32::MAX,
        order: Order::Columns,
        scale: 0.1,
        range: [1.0, 20.0],
        name: Some("x".to_owned()),
        parts: BTreeMap::from([("b".to_owned(), 2)]),
        inner: vec![Inner { zero: -3, on: true }],
    };
    assert_eq!(picture, expected);
    let least: Picture = from_slice(br#"{"width": 0, "order": "rows", "name": null}"#).unwrap();
    assert_eq!((least.scale, least.range, least.name), (0.5, [0.0, 1.0], None));
}

#[test]
fn what_a_type_does_not_take_is_refused_with_its_place() {
    for (text, message) in [
        (r#"{"order": "rows"}"#, "missing field `width` at line 1 column 1"),
        (
            "{\"width\": 1,\n \"order\": \"diagonal\"}",
            "unknown variant `diagonal`, expected one of `rows`, `columns` in order at line 2 column 11",
        ),
        (
            r#"{"width": 1, "order": "rows", "inner": [{"zero": 1}, {"zero": 1, "one": 1}]}"#,
            "unknown field `one`, expected one of `zero`, `on` in inner[1] at line 1 column 54",
        ),
        (
            r#"{"width": -1, "order": "rows"}"#,
            "invalid type: number `-1`, expected u32 in width at line 1 column 11",
        ),
        (
            r#"{"width": 4294967296, "order": "rows"}"#,
            "expected u32 in width",
        ),
        (r#"{"width": 1.0, "order": "rows"}"#, "expected u32 in width"),
        (
            r#"{"width": "1", "order": "rows"}"#,
            "string \"1\", expected u32 in width",
        ),
        (
            r#"{"width": 1, "order": 1}"#,
            "number `1`, expected a string in order",
        ),
        (
            r#"{"width": 1, "order": "rows", "range": [1]}"#,
            "invalid length 1, expected 2 items in range",
        ),
        (
            r#"{"width": 1, "order": "rows", "scale": "x"}"#,
            "expected f32 in scale",
        ),
        (
            r#"{"width": 1, "order": "rows", "parts": {"a": {}}}"#,
            "map, expected usize in parts.a",
        ),
        (
            r#"{"width": 1, "order": "rows", "parts": []}"#,
            "sequence, expected a map in parts",
        ),
        (
            r#"{"width": 1, "order": "rows", "inner": {}}"#,
            "map, expected a sequence in inner",
        ),
        (
            r#"{"width": 1, "order": "rows", "inner": [{"zero": 0, "on": 1}]}"#,
            "expected a boolean in inner[0].on",
        ),
        (
            r#"{"width": 1, "order": "rows", "inner": [null]}"#,
            "null, expected a map in inner[0]",
        ),
        ("[]", "sequence, expected a map"),
        ("{\n\"width\" 1}", "expected `:` at line 2 column 9"),
    ] {
        let error = from_slice::<Picture>(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{text}\n{error}");
    }
}

#[test]
fn a_long_text_is_cut_in_a_message() {
    let text = format!("\"{}\"", "é".repeat(5000));
    let error = from_slice::<u32>(text.as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 400 && error.contains("..."), "{error}");
}

#[test]
fn a_choice_has_a_name_or_one_key() {
    let names = ["plain", "ring"];
    let value = Value::from_json(br#"{"ring": {"length": 3}}"#).unwrap();
    let mut faults = Faults::default();
    let (at, content) = value.variant(&names, &mut faults);
    assert_eq!((at, content.unwrap().get("length").is_some()), (1, true));
    let ring = Value::from_json(b"\"ring\"").unwrap();
    assert_eq!(ring.variant(&names, &mut faults), (1, None));
    assert!(faults.none());
    for text in [
        "{}",
        "{\"plain\": 1, \"ring\": 2}",
        "1",
        "\"arc\"",
        "{\"arc\": 1}",
    ] {
        let value = Value::from_json(text.as_bytes()).unwrap();
        let mut faults = Faults::default();
        value.variant(&names, &mut faults);
        assert!(!faults.none(), "{text}");
    }
}

#[test]
fn the_first_fault_is_the_one_that_is_told() {
    let text = br#"{"width": "a", "order": "b", "scale": "c"}"#;
    let error = from_slice::<Picture>(text).unwrap_err();
    assert_eq!(error.path(), "width");
}

#[test]
fn single_precision_is_read_at_its_own_precision() {
    // Rounded to f64 first, this lies half-way between two f32 and goes to the lower one.
    let text = b"1.00000005960464477540";
    let double: f64 = from_slice(text).unwrap();
    let single: f32 = from_slice(text).unwrap();
    assert_eq!((double as f32, single), (1.0, 1.000_000_1));
}

//! All there is to do to a spec, read from the schema of the definition: no field can be forgotten.

use provident_core::api;
use serde_json::{Map, Value, json};

use super::samples::{key, padded, sample};

/// One change of one field.
#[derive(Clone, Debug)]
pub struct Move {
    /// The field, as messages name it.
    pub path: String,
    /// What happens to it.
    pub change: Change,
    /// It breaks a bound, so that the API server must refuse it.
    pub refused: bool,
}

#[derive(Clone, Debug)]
pub enum Change {
    Delete,
    Set(Value),
    /// One member more, of the list or the map.
    Push(Value, Option<String>),
    /// One member less.
    Pop,
}

/// The schema of `OAuthClient.spec`.
pub fn spec_schema() -> Value {
    let crds = api::crds().into_iter();
    let mut crd = crds.filter(|crd| crd.spec.names.kind == "OAuthClient");
    let crd = serde_json::to_value(crd.next().unwrap()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// Every move there is.
pub fn all() -> Vec<Move> {
    let mut moves = Vec::new();
    properties("", &spec_schema(), &mut moves);
    moves
}

/// The names of the fields at the top.
pub fn fields() -> Vec<String> {
    let schema = spec_schema();
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

fn properties(path: &str, schema: &Value, moves: &mut Vec<Move>) {
    for (name, schema) in schema["properties"].as_object().unwrap() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        field(&path, schema, moves);
    }
}

fn field(path: &str, schema: &Value, moves: &mut Vec<Move>) {
    let mut push = |change, refused| {
        moves.push(Move {
            path: path.to_owned(),
            change,
            refused,
        });
    };
    push(Change::Delete, false);
    if let Some(values) = schema["enum"].as_array() {
        for value in values {
            push(Change::Set(value.clone()), false);
        }
        let foreign = if values[0].is_number() {
            json!(7)
        } else {
            json!("Other")
        };
        push(Change::Set(foreign), true);
        return;
    }
    match schema["type"].as_str().unwrap() {
        "boolean" => {
            push(Change::Set(json!(true)), false);
            push(Change::Set(json!(false)), false);
        }
        "integer" => {
            let least = schema["minimum"].as_f64().unwrap();
            for number in [least, least + 17.0, f64::from(i32::MAX)] {
                push(Change::Set(json!(whole(number))), false);
            }
            push(Change::Set(json!(whole(least - 1.0))), true);
            push(Change::Set(json!(i64::from(i32::MAX) + 1)), true);
        }
        "string" => {
            for n in 0..3 {
                push(Change::Set(json!(sample(path, n))), false);
            }
            push(Change::Set(json!("")), false);
            let longest = bound(schema, "maxLength");
            push(Change::Set(json!(padded(path, longest))), false);
            push(Change::Set(json!(padded(path, longest + 1))), true);
        }
        "array" => list(path, schema, &mut push),
        "object" if schema["additionalProperties"].is_object() => map(path, schema, &mut push),
        "object" => {
            push(Change::Set(json!({})), false);
            push(Change::Set(object(path, schema, 0)), false);
            properties(path, schema, moves);
        }
        other => panic!("spec.{path} is of type {other}, which the walk does not know"),
    }
}

fn list(path: &str, schema: &Value, push: &mut impl FnMut(Change, bool)) {
    let (item, member) = (&schema["items"], format!("{path}[]"));
    let of = |count: usize| -> Value { (0..count).map(|n| value(&member, item, n)).collect() };
    let most = bound(schema, "maxItems");
    push(Change::Set(json!([])), false);
    push(Change::Set(of(most)), false);
    push(Change::Set(of(most + 1)), true);
    for n in [most, most + 2, most + 4] {
        push(Change::Push(value(&member, item, n), None), false);
    }
    push(Change::Pop, false);
    push(Change::Pop, false);
    if item["type"] == "string" {
        let longest = bound(item, "maxLength");
        push(Change::Set(json!([padded(&member, longest)])), false);
        push(Change::Set(json!([padded(&member, longest + 1)])), true);
        push(Change::Set(json!([""])), false);
    }
}

fn map(path: &str, schema: &Value, push: &mut impl FnMut(Change, bool)) {
    let member = format!("{path}{{}}");
    let of = |count: usize| -> Value {
        let pair = |n| (key(path, n), json!(sample(&member, n)));
        Value::Object((0..count).map(pair).collect())
    };
    let most = bound(schema, "maxProperties");
    let longest = bound(&schema["additionalProperties"], "maxLength");
    push(Change::Set(json!({})), false);
    push(Change::Set(of(most)), false);
    push(Change::Set(of(most + 1)), true);
    for n in [most, most + 2] {
        push(
            Change::Push(json!(sample(&member, n)), Some(key(path, n))),
            false,
        );
    }
    push(Change::Pop, false);
    let one = |value: String| Change::Set(json!({ key(path, 0): value }));
    push(one(String::new()), false);
    push(one(padded(&member, longest)), false);
    push(one(padded(&member, longest + 1)), true);
}

fn value(path: &str, schema: &Value, n: usize) -> Value {
    match schema["type"].as_str().unwrap() {
        "object" => object(path, schema, n),
        _ => match schema["enum"].as_array() {
            Some(values) => values[n % values.len()].clone(),
            None => json!(sample(path, n)),
        },
    }
}

/// An object with all that is required of it.
fn object(path: &str, schema: &Value, n: usize) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    let member = |name: &Value| {
        let name = name.as_str().unwrap().to_owned();
        let inner = value(&format!("{path}.{name}"), &schema["properties"][&name], n);
        (name, inner)
    };
    Value::Object(required.map(member).collect::<Map<_, _>>())
}

fn bound(schema: &Value, name: &str) -> usize {
    let bound = schema[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} in {schema}"));
    bound.try_into().unwrap()
}

// Every bound of an integer is a whole number, and far from what a float cannot hold.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: f64) -> i64 {
    number as i64
}

impl Change {
    /// Makes the change at a path of a spec.
    pub fn make(&self, spec: &mut Value, path: &str) {
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = spec;
        for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
            if at.get(parent).is_none() && matches!(self, Self::Delete | Self::Pop) {
                return;
            }
            at = &mut at[parent];
        }
        let field = &mut at[name];
        match self {
            Self::Delete => {
                at.as_object_mut().map(|object| object.remove(name));
            }
            Self::Set(value) => *field = value.clone(),
            Self::Push(value, Some(key)) => field[key] = value.clone(),
            Self::Push(value, None) => match field {
                Value::Array(list) => list.push(value.clone()),
                none => *none = json!([value]),
            },
            Self::Pop => match field {
                Value::Array(list) => {
                    list.pop();
                }
                Value::Object(map) => {
                    if let Some(key) = map.keys().next().cloned() {
                        map.remove(&key);
                    }
                }
                _ => {
                    at.as_object_mut().map(|object| object.remove(name));
                }
            },
        }
    }
}

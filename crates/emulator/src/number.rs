//! Numbers in requests: JSON knows one kind of number, so `200.0` is `200`.

use serde_json::{Number, Value};

/// Beyond it a float does not name one integer.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// The body with every whole number written as an integer; `None` if it is no JSON.
pub(super) fn with_integers(body: &[u8]) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    rewrite(&mut value);
    serde_json::to_vec(&value).ok()
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            if let Some(float) = float.filter(|float| float.fract() == 0.0 && float.abs() < LARGEST)
            {
                #[expect(clippy::cast_possible_truncation, reason = "whole and within bounds")]
                let integer = float as i64;
                *number = Number::from(integer);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(rewrite),
        Value::Object(fields) => fields.values_mut().for_each(rewrite),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

//! Rewriting JSON in one pass, without building a tree: only metadata is looked into, and the rest is copied as it is.

use std::fmt;

use jiff::Timestamp;
use kube::core::Status;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

/// What `kubectl apply` leaves on every object: its whole manifest once more.
const LAST_APPLIED: &str = "\"kubectl.kubernetes.io/last-applied-configuration\"";
/// The latest time that can be decoded. Kubernetes accepts about one day more.
const LATEST: &str = "\"9999-12-30T22:00:00Z\"";

/// What a response is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One object. It keeps all its annotations, because it may be changed and written back.
    Object,
    /// A list of objects.
    List,
    /// Events of a watch, one per line.
    Events,
    /// What comes with a code of 400 or above.
    Failure(u16),
}

/// The response without `managedFields`, and with times in metadata that can be decoded; `None` if it is not a JSON object.
pub(super) fn rewrite(text: &[u8], shape: Shape) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut out = Vec::with_capacity(text.len());
    let mut json = serde_json::Deserializer::from_str(text);
    let place = match shape {
        Shape::Events => Place::Event,
        Shape::List => Place::List,
        Shape::Object | Shape::Failure(_) => Place::Object,
    };
    let copy = Copy {
        out: &mut out,
        place,
        to_keep: shape == Shape::Object,
    };
    copy.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(out)
}

/// A `Status` in place of the body of a failed request that is none, such as a proxy's page.
pub(super) fn failure(body: &[u8], code: u16) -> Option<Vec<u8>> {
    if serde_json::from_slice::<Status>(body).is_ok() {
        return None;
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("HTTP {code} without a Kubernetes Status, perhaps from a proxy"),
    });
    Some(status.to_string().into_bytes())
}

#[derive(Clone, Copy)]
enum Place {
    Event,
    List,
    Items,
    Object,
    Metadata,
    Annotations,
}

enum Action {
    Copy,
    Drop,
    Time,
    Enter(Place),
}

/// Copies the value at the current position.
struct Copy<'a> {
    out: &'a mut Vec<u8>,
    place: Place,
    /// Whether annotations are kept as they are.
    to_keep: bool,
}

impl Copy<'_> {
    // `key` as it is in the text, with its quotes: the API server escapes none of these.
    fn action(&self, key: &str) -> Action {
        match (self.place, key) {
            (Place::Event, "\"object\"") => Action::Enter(Place::Object),
            (Place::List, "\"items\"") => Action::Enter(Place::Items),
            (Place::List | Place::Object, "\"metadata\"") => Action::Enter(Place::Metadata),
            (Place::Metadata, "\"managedFields\"") => Action::Drop,
            (Place::Metadata, "\"creationTimestamp\"" | "\"deletionTimestamp\"") => Action::Time,
            (Place::Metadata, "\"annotations\"") if !self.to_keep => {
                Action::Enter(Place::Annotations)
            }
            (Place::Annotations, LAST_APPLIED) => Action::Drop,
            _ => Action::Copy,
        }
    }

    fn enter(&mut self, place: Place) -> Copy<'_> {
        Copy {
            out: &mut *self.out,
            place,
            to_keep: self.to_keep,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object, a list or null")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let mut first = true;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let action = self.action(key.get());
            if matches!(action, Action::Drop) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            self.out.extend_from_slice(key.get().as_bytes());
            self.out.push(b':');
            match action {
                Action::Enter(place) => map.next_value_seed(self.enter(place))?,
                Action::Time => {
                    let time = decodable(map.next_value::<&RawValue>()?.get());
                    self.out.extend_from_slice(time.as_bytes());
                }
                Action::Copy | Action::Drop => {
                    let value = map.next_value::<&RawValue>()?;
                    self.out.extend_from_slice(value.get().as_bytes());
                }
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        while items
            .next_element_seed(self.enter(Place::Object))?
            .is_some()
        {
            self.out.push(b',');
        }
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }
}

// That an object is being deleted must stay visible, so a time that is too late becomes the latest one.
fn decodable(time: &str) -> &str {
    let text = time
        .strip_prefix('"')
        .and_then(|time| time.strip_suffix('"'));
    match text.map(str::parse::<Timestamp>) {
        Some(Err(_)) => LATEST,
        Some(Ok(_)) | None => time,
    }
}

#[cfg(test)]
#[allow(clippy::similar_names)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn rewritten(value: &Value, shape: Shape) -> Value {
        let out = rewrite(value.to_string().as_bytes(), shape).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn only_metadata_of_objects_is_changed() {
        let managed = json!([{ "manager": "m", "time": "9999-12-31T23:59:59Z" }]);
        let last = "kubectl.kubernetes.io/last-applied-configuration";
        let object = |managed: Option<&Value>, annotated: bool| {
            let mut object = json!({
                "kind": "ConfigMap", "metadata": { "name": "a", "annotations": { "x": "\"y\"" } },
                "data": { "managedFields": "stays", "metadata": "{\"managedFields\":[]}" },
                "spec": { "metadata": { "managedFields": "stays" } },
            });
            if let Some(managed) = managed {
                object["metadata"]["managedFields"] = managed.clone();
            }
            if annotated {
                object["metadata"]["annotations"][last] = json!("{}");
            }
            object
        };
        let (before, kept, bare) = (
            object(Some(&managed), true),
            object(None, true),
            object(None, false),
        );
        assert_eq!(rewritten(&before, Shape::Object), kept);
        let list = |object: &Value| json!({ "kind": "ConfigMapList", "metadata": { "resourceVersion": "7" }, "items": [object, object] });
        assert_eq!(rewritten(&list(&before), Shape::List), list(&bare));
        let event = |object: &Value| json!({ "type": "MODIFIED", "object": object });
        assert_eq!(rewritten(&event(&before), Shape::Events), event(&bare));
    }

    #[test]
    fn lists_and_maps_may_be_empty_or_null() {
        for text in [
            r#"{"items":[],"metadata":{}}"#,
            r#"{"items":null,"metadata":null}"#,
            r#"{"items":[{"metadata":{"annotations":null}},{}]}"#,
            r"{}",
        ] {
            let out = rewrite(text.as_bytes(), Shape::List).unwrap();
            assert_eq!(std::str::from_utf8(&out).unwrap(), text);
        }
        let text = r#"{"metadata":{"managedFields":null}}"#;
        assert_eq!(
            rewrite(text.as_bytes(), Shape::Object).unwrap(),
            br#"{"metadata":{}}"#
        );
    }

    #[test]
    fn a_failure_keeps_a_status_and_nothing_else() {
        let status = r#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
        assert_eq!(failure(status.as_bytes(), 403), None);
        for body in [
            "<html>s3cr3t</html>",
            "\"s3cr3t\"",
            "{\"code\":\"s3cr3t\"}",
            "\u{fffd}",
        ] {
            let status: Status =
                serde_json::from_slice(&failure(body.as_bytes(), 502).unwrap()).unwrap();
            assert_eq!(status.code, 502, "{body}");
            assert!(!status.message.contains("s3cr3t"), "{body}");
        }
    }

    #[test]
    fn any_depth_of_managed_fields_is_dropped() {
        let deep = format!("{}{}", r#"{"f:a":"#.repeat(5000), "{}") + &"}".repeat(5000);
        let text =
            format!(r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{deep}}}],"name":"a"}}}}"#);
        let out = rewrite(text.as_bytes(), Shape::Object).unwrap();
        assert_eq!(out, br#"{"metadata":{"name":"a"}}"#);
    }

    #[test]
    fn a_time_is_changed_only_if_it_cannot_be_decoded() {
        for (time, expected) in [
            (json!("2026-11-24T10:00:00Z"), json!("2026-11-24T10:00:00Z")),
            (json!("9999-12-30T22:00:00Z"), json!("9999-12-30T22:00:00Z")),
            (json!("9999-12-30T22:00:01Z"), json!("9999-12-30T22:00:00Z")),
            (json!("9999-12-31T23:59:59Z"), json!("9999-12-30T22:00:00Z")),
            (json!("0000-01-01T00:00:00Z"), json!("0000-01-01T00:00:00Z")),
            (Value::Null, Value::Null),
        ] {
            for field in ["creationTimestamp", "deletionTimestamp"] {
                let object = json!({ "metadata": { field: time } });
                assert_eq!(
                    rewritten(&object, Shape::Object)["metadata"][field],
                    expected,
                    "{time}"
                );
            }
        }
    }
}

//! Objects that this version may not be able to decode. One of them must not stop the watch over all others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object, or what is known of one that cannot be decoded. Unlike kube's `DeserializeGuard` it names the field, keeps
/// the status, which may record a client, and accepts metadata that cannot be decoded.
#[derive(Clone, Debug)]
pub struct LenientObject<K>(pub Result<K, Box<InvalidObject>>);

/// An object that cannot be decoded, for example because a newer version of its CRD accepted it.
#[derive(Clone, Debug)]
pub struct InvalidObject {
    /// Its metadata, as far as it can be decoded.
    pub metadata: ObjectMeta,
    /// Its status, undecoded.
    pub status: Value,
    /// The field that cannot be decoded, and why.
    pub error: String,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for LenientObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As text, which can be read twice. In an event of a watch the type comes first, so that serde need not buffer it.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // Almost always this is all: to know the field of an error costs three times as much.
        if let Ok(object) = serde_json::from_str(text.get()) {
            return Ok(Self(Ok(object)));
        }
        let mut json = serde_json::Deserializer::from_str(text.get());
        Ok(Self(match serde_path_to_error::deserialize(&mut json) {
            Ok(object) => Ok(object),
            Err(error) => Err(Box::new(InvalidObject::read(text.get(), &error))),
        }))
    }
}

/// The parts of an object that are read without its type.
#[derive(Default, Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

impl InvalidObject {
    // Never fails, because a failure here would be one of the whole list.
    fn read(text: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let parts: Parts<'_> = serde_json::from_str(text).unwrap_or_default();
        let status = parts
            .status
            .map(|status| serde_json::from_str(status.get()));
        // The position is that in a text which nobody sees.
        let (field, cause) = (error.path(), error.inner().to_string());
        let cause = cause
            .rsplit_once(" at line ")
            .map_or(cause.as_str(), |(cause, _)| cause);
        let error = format!("{field}: {cause}")
            .chars()
            .flat_map(visible)
            .collect();
        Self {
            metadata: parts.metadata.map(readable_metadata).unwrap_or_default(),
            status: status.and_then(Result::ok).unwrap_or_default(),
            error,
        }
    }
}

// All fields of metadata that can be read, if one of them cannot.
fn readable_metadata(text: &RawValue) -> ObjectMeta {
    if let Ok(metadata) = serde_json::from_str(text.get()) {
        return metadata;
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text.get()).unwrap_or_default();
    let readable = |name: &str, value: &RawValue| {
        let field = format!("{}:{value}", Value::from(name));
        serde_json::from_str::<ObjectMeta>(&format!("{{{field}}}")).ok()?;
        Some(field)
    };
    let fields: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| readable(name, value))
        .collect();
    serde_json::from_str(&format!("{{{}}}", fields.join(","))).unwrap_or_default()
}

// An error may quote a field's value: control and format characters are escaped.
fn visible(c: char) -> impl Iterator<Item = char> {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let (escaped, plain) = (hidden.then(|| c.escape_unicode()), (!hidden).then_some(c));
    escaped.into_iter().flatten().chain(plain)
}

impl<K: Resource> Resource for LenientObject<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

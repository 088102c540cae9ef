//! Objects that this version may not be able to read, so that one of them does not stop the watch over all others.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object, or what is known of one that cannot be read. Other than kube's own guard it names the field, and keeps the
/// status, which may record a client.
#[derive(Clone, Debug)]
pub struct LenientObject<K>(pub Result<K, Box<InvalidObject>>);

/// An object that cannot be read: a newer version of the definition let it in, or an older one.
#[derive(Clone, Debug)]
pub struct InvalidObject {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its status, whatever that is.
    pub status: Value,
    /// Which field it is, and what is wrong with it.
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
        let value: Value = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self(match serde_path_to_error::deserialize(&value) {
            Ok(object) => Ok(object),
            Err(error) => Err(Box::new(InvalidObject {
                metadata: ObjectMeta::deserialize(&value["metadata"]).map_err(D::Error::custom)?,
                status: value["status"].clone(),
                error: error.to_string(),
            })),
        }))
    }
}

impl<K: Resource> Resource for LenientObject<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

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
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

//! The load: creates, changes and deletes many objects at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};

use super::test_env::{NAMESPACE, kind};

/// Concurrent requests of the load: enough that creating objects is never the bottleneck.
const AT_ONCE: usize = 32;

/// Names of objects: `<prefix>-0` to `<prefix>-<count - 1>`.
pub fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("{prefix}-{index}"))
        .collect()
}

/// The documentation's sample with a refreshInterval of a year. With an hour, scheduled verifications would send a GET for each
/// client during the measurement.
pub fn client(group: &str, name: &str) -> DynamicObject {
    let spec = json!({
        "redirectUris": ["https://shop.example.com/auth/callback"],
        "allowedScopes": ["listings:read"],
        "refreshInterval": "8760h",
        "connectionRef": { "kind": "ClusterProvidentConnection", "name": "default" },
    });
    let mut object = DynamicObject::new(name, &kind(group)).within(NAMESPACE);
    object.data = json!({ "spec": spec });
    object
}

/// Creates objects and passes each, as stored, to `stored`. Returns when the request for each was sent.
pub async fn declare(
    objects: &Api<DynamicObject>,
    group: &'static str,
    names: &[String],
    stored: impl Fn(DynamicObject),
) -> Result<HashMap<String, Instant>> {
    each(objects, names, move |api, name| async move {
        let asked = Instant::now();
        let made = api
            .create(&PostParams::default(), &client(group, &name))
            .await?;
        Ok((name, asked, made))
    })
    .map_ok(|(name, asked, made)| {
        stored(made);
        (name, asked)
    })
    .try_collect()
    .await
}

/// Merges one patch into every object. Returns when the request for each was sent.
pub async fn patch_all(
    objects: &Api<DynamicObject>,
    names: &[String],
    patch: &Value,
) -> Result<HashMap<String, Instant>> {
    each(objects, names, move |api, name| {
        let patch = patch.clone();
        async move {
            let asked = Instant::now();
            api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await?;
            Ok((name, asked))
        }
    })
    .try_collect()
    .await
}

/// Deletes every object. Each disappears when its finalizer is removed.
pub async fn delete_all(objects: &Api<DynamicObject>, names: &[String]) -> Result<()> {
    each(objects, names, |api, name| async move {
        api.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    })
    .try_collect()
    .await
}

/// Sends one request for each name, on all cores, a limited number at once.
fn each<T: Send + 'static, F>(
    objects: &Api<DynamicObject>,
    names: &[String],
    ask: impl Fn(Api<DynamicObject>, String) -> F,
) -> impl stream::Stream<Item = Result<T>>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    let asked = names
        .iter()
        .map(move |name| tokio::spawn(ask(objects.clone(), name.clone())));
    stream::iter(asked)
        .buffer_unordered(AT_ONCE)
        .map(|joined| joined?)
}

/// A quantile of durations: 0.5 is the median, 0.99 the value that 99 % do not exceed.
pub fn quantile(durations: &[Duration], part: f64) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    let index = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

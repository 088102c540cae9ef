//! Watches and their stores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Ready, ready};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store, store::Writer};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::broadcast;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::invalid_objects;
use crate::cluster::{self, InvalidObject, LenientObject};
use crate::config::Config;
use crate::context::{Context, Stores};
use crate::metrics::Metrics;
use crate::state::connection_key::ConnectionKey;
use provident_core::api::{self, APPLY_CRDS, ConditionType, OAuthClient, OAuthClientStatus};

/// A failing watch is logged this often: kube restarts it about every second.
const LOG_EVERY: Duration = Duration::from_mins(1);

pub(super) fn store_pair() -> (Stores, Writer<OAuthClient>) {
    let (clients, writer) = reflector::store();
    let secrets = Arc::default();
    (Stores { clients, secrets }, writer)
}

/// Puts the events of a watch of clients into their store. True for those that trigger a reconcile. A change of status
/// alone is one of our own writes and asks for none, unless status lost what the operator never takes away.
pub(super) fn stored(
    mut writer: Writer<OAuthClient>,
) -> impl FnMut(&watcher::Event<OAuthClient>) -> bool {
    let store = writer.as_reader();
    move |event| {
        let asks = match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                let former = store.get(&ObjectRef::from_obj(object));
                former.is_none_or(|former| {
                    differs(&former.metadata, &object.metadata)
                        || lost(former.status.as_ref(), object.status.as_ref())
                })
            }
            watcher::Event::Delete(_) => true,
            watcher::Event::Init | watcher::Event::InitDone => false,
        };
        writer.apply_watcher_event(event);
        asks
    }
}

// Finalizers too: a replace erases them.
fn differs(former: &ObjectMeta, now: &ObjectMeta) -> bool {
    (&former.uid, former.generation) != (&now.uid, now.generation)
        || former.finalizers != now.finalizers
        || former.annotations != now.annotations
}

// Another writer emptied or edited status. Dropping an attempt is our own write at times: one reconcile more, without effect.
fn lost(former: Option<&OAuthClientStatus>, now: Option<&OAuthClientStatus>) -> bool {
    let Some(former) = former else { return false };
    let Some(now) = now else { return true };
    let client = (former.client_id.is_some() && former.client_id != now.client_id)
        || (former.binding_mac.is_some() && former.binding_mac != now.binding_mac);
    let is_gone = |type_| {
        api::find(&former.conditions, type_).is_some()
            && api::find(&now.conditions, type_).is_none()
    };
    let is_ready =
        || api::find(&now.conditions, ConditionType::Ready).is_some_and(|r| r.status == "True");
    // Lost, or finished by another process while this one waits for it.
    let attempt = former.create_attempt.is_some()
        && now.create_attempt.is_none()
        && (now.client_id.is_none() || !is_ready());
    let conditions = [
        ConditionType::Ready,
        ConditionType::Synced,
        ConditionType::SecretReady,
    ];
    client
        || attempt
        || former.observed_generation > now.observed_generation
        || conditions.into_iter().any(is_gone)
}

pub(super) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// How everything is watched.
pub(super) fn config(config: &Config) -> watcher::Config {
    let seconds = u32::try_from(config.watch_timeout.as_secs()).unwrap_or(u32::MAX);
    watcher::Config::default().timeout(seconds)
}

/// Counts that a changed object waits for a reconcile.
pub(super) fn asks<K: Resource<DynamicType = ()>>(metrics: &Metrics) -> impl FnMut(&K) + use<K> {
    let queue = metrics.queue.clone();
    move |object| queue.asked(&ObjectRef::from_obj(object))
}

// An error of a watch is counted and logged here: the watcher restarts on its own, each with its own backoff. Readiness
// rests on the time since a watch was last answered, see `metrics::Watches`.
pub(super) fn without_errors<T>(
    stream: impl Stream<Item = Result<T, watcher::Error>> + Send + 'static,
    what: &'static str,
    metrics: Metrics,
) -> impl Stream<Item = Result<T, watcher::Error>> + Send + 'static
where
    T: Send + 'static,
{
    let mut logged: Option<Instant> = None;
    stream.filter_map(move |event| {
        let event = match event {
            Ok(event) => Some(Ok(event)),
            Err(error) => {
                metrics.watches.failed();
                if logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                    logged = Some(Instant::now());
                    let unknown_kind = is_unknown_kind(&error);
                    let error = cluster::describe_watch(&error);
                    if unknown_kind {
                        warn!(
                            error,
                            kind = what,
                            "The API server does not serve this kind. Run: {APPLY_CRDS}"
                        );
                    } else {
                        warn!(error, kind = what, "Watch failed, will restart");
                    }
                }
                None
            }
        };
        ready(event)
    })
}

/// The part of a watch that this version can decode. The rest is reported through `invalid` and removed from the store.
pub(super) fn decoded<K>(
    event: watcher::Event<LenientObject<K>>,
    store: &Store<K>,
    invalid: &UnboundedSender<InvalidObject>,
) -> Option<watcher::Event<K>>
where
    K: Resource<DynamicType = ()> + Clone,
{
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    Some(match event {
        Init => Init,
        InitDone => InitDone,
        InitApply(LenientObject(Ok(object))) => InitApply(object),
        Apply(LenientObject(Ok(object))) => Apply(object),
        Delete(LenientObject(Ok(object))) => Delete(object),
        InitApply(LenientObject(Err(object))) => {
            // The receiver is gone when the process is leaving.
            let _ = invalid.send(*object);
            return None;
        }
        Apply(LenientObject(Err(object))) => {
            let former = store.get(&reference(&object.metadata));
            let _ = invalid.send(*object);
            Delete(former?.as_ref().clone())
        }
        Delete(LenientObject(Err(_))) => return None,
    })
}

/// The same for a watch of metadata, whose objects have no status to report in.
pub(super) fn decoded_metadata<D>(
    event: watcher::Event<LenientObject<PartialObjectMeta<D>>>,
    metrics: &Metrics,
) -> Option<watcher::Event<PartialObjectMeta<D>>>
where
    D: Resource<DynamicType = ()>,
{
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    let decoded = |object: LenientObject<PartialObjectMeta<D>>| match object.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            invalid_objects::skipped::<D>(metrics, &invalid);
            None
        }
    };
    match event {
        Init => Some(Init),
        InitDone => Some(InitDone),
        InitApply(object) => decoded(object).map(InitApply),
        Apply(object) => decoded(object).map(Apply),
        Delete(object) => decoded(object).map(Delete),
    }
}

fn reference<K: Resource<DynamicType = ()>>(meta: &ObjectMeta) -> ObjectRef<K> {
    let named = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
    match &meta.namespace {
        Some(namespace) => named.within(namespace),
        None => named,
    }
}

// Of a kind without a definition the API server says 404.
fn is_unknown_kind(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            cluster::is_not_found(error)
        }
        _ => false,
    }
}

// A watch of Secrets, or nothing where they are not watched: a stream that is never polled sends no request.
pub(super) fn if_watched<T: Send + 'static>(
    ctx: &Context,
    watch: impl Stream<Item = T> + Send + 'static,
) -> BoxStream<'static, T> {
    if ctx.config.watch_secrets {
        watch.boxed()
    } else {
        futures::stream::empty().boxed()
    }
}

/// The objects that trigger a reconcile, as `takes_in` says of each event; `listed` sees an event after `takes_in`.
pub(super) fn asking<K: Send>(
    mut takes_in: impl FnMut(&watcher::Event<K>) -> bool,
    mut listed: impl FnMut(&watcher::Event<K>),
) -> impl FnMut(watcher::Event<K>) -> Ready<Result<Option<K>, watcher::Error>> {
    use watcher::Event::{Apply, Delete, InitApply};
    move |event| {
        let asks = takes_in(&event);
        listed(&event);
        ready(Ok(match event {
            Apply(object) | InitApply(object) | Delete(object) if asks => Some(object),
            _ => None,
        }))
    }
}

// A store's own readiness wakes one waiter only, and the controller is that one already.
pub(super) fn first_list<K>(ctx: Arc<Context>) -> impl FnMut(&watcher::Event<K>) + Send {
    let mut listed = false;
    move |event| {
        if matches!(event, watcher::Event::InitDone) && !std::mem::replace(&mut listed, true) {
            ctx.lists.send_modify(|lists| *lists += 1);
        }
    }
}

/// Keys of connections as they are sent. `None` means that some were missed, so that any connection may be meant.
pub(super) fn keys(
    keys: broadcast::Receiver<ConnectionKey>,
) -> impl Stream<Item = Option<ConnectionKey>> + Send {
    futures::stream::unfold(keys, |mut keys| async move {
        match keys.recv().await {
            Ok(key) => Some((Some(key), keys)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((None, keys)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
}

/// Returns when the process shuts down before a controller's first list, for which kube's controller would wait even then.
/// No reconcile has begun by then. Once the list is there this never returns.
pub(super) async fn stopped_unlisted<K>(stopping: CancellationToken, store: Store<K>)
where
    K: reflector::Lookup<DynamicType = ()> + Clone + 'static,
{
    stopping.cancelled().await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as an object has it")]
    fn status(change: serde_json::Value) -> Option<OAuthClientStatus> {
        let mut status = serde_json::json!({
            "observedGeneration": 1, "clientId": "c1", "bindingMAC": "m1",
            "conditions": [
                { "type": "Ready", "status": "True", "reason": "Available", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" },
                { "type": "Stalled", "status": "True", "reason": "Available", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            ],
        });
        if let serde_json::Value::Object(change) = change {
            status.as_object_mut().unwrap().extend(change);
        }
        Some(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_status_that_lost_what_only_others_take_away_asks_for_a_reconcile() {
        let same = || status(serde_json::json!({}));
        for taken in [
            serde_json::json!({ "clientId": null }),
            serde_json::json!({ "clientId": "c2" }),
            serde_json::json!({ "bindingMAC": null }),
            serde_json::json!({ "conditions": [] }),
            serde_json::json!({ "observedGeneration": -1 }),
            serde_json::json!({ "observedGeneration": null }),
        ] {
            assert!(
                lost(same().as_ref(), status(taken.clone()).as_ref()),
                "{taken}"
            );
            // And what the operator writes the other way round asks for none.
            let back = lost(status(taken.clone()).as_ref(), same().as_ref());
            assert_eq!(
                back,
                taken == serde_json::json!({ "clientId": "c2" }),
                "{taken}"
            );
        }
        assert!(lost(same().as_ref(), None));
        assert!(!lost(None, same().as_ref()));
        assert!(!lost(same().as_ref(), same().as_ref()));
        let attempt = serde_json::json!({ "clientId": null, "bindingMAC": null,
            "createAttempt": { "id": "a1", "startTime": "2026-01-01T00:00:00Z" } });
        let nothing = serde_json::json!({ "clientId": null, "bindingMAC": null });
        assert!(lost(
            status(attempt.clone()).as_ref(),
            status(nothing).as_ref()
        ));
        assert!(
            !lost(status(attempt).as_ref(), same().as_ref()),
            "it became a client"
        );
    }
}

//! Whether the API server has the kinds that this program uses, with all their fields.
//!
//! A field that a definition lacks is dropped by the API server without a word. A claim that is dropped so would be no
//! claim; hence nothing is begun before the definitions are whole, and nothing while they are not.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, CustomResourceExt, ResourceExt};
use tracing::{debug, error, info, warn};

use crate::admin::{Readiness, Stage};
use crate::cluster;
use crate::context::Context;
use provident_core::api::{self, APPLY_CRDS, ClusterProvidentConnection};

/// Definitions that are whole are looked at again after this: somebody may put older ones back.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// Those that are not, or of which nothing is known yet.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of the definitions.
enum Found {
    Whole,
    /// There is no right to read them, as in an install without a `ClusterRole`.
    InvalidObject,
    /// What each lacks.
    Lacking(Vec<String>),
}

/// Looks at the definitions for as long as it runs.
pub(super) async fn watch_crds(ctx: Arc<Context>, readiness: Readiness) {
    let mut told = None;
    loop {
        let wait = match look(&ctx).await {
            Ok(Found::Lacking(what)) => {
                ctx.defined.send_replace(false);
                if !ctx.stopping.is_cancelled() {
                    readiness.set(Stage::Undefined);
                }
                if told.as_ref() != Some(&what) {
                    error!(
                        lacking = what.join("; "),
                        "the CustomResourceDefinitions are not those of this version: nothing is done until they are. Run: {APPLY_CRDS}"
                    );
                    told = Some(what);
                }
                RETRY
            }
            Ok(found) => {
                if told.take().is_some() {
                    info!("the CustomResourceDefinitions are whole");
                }
                if !ctx.defined.send_replace(true) {
                    readiness.set(Stage::Starting);
                }
                if matches!(found, Found::InvalidObject) {
                    debug!(
                        "no right to read the CustomResourceDefinitions: whether they are whole is not known"
                    );
                }
                LOOK_AGAIN
            }
            Err(error) => {
                warn!(%error, "the CustomResourceDefinitions were not read");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(ctx: &Context) -> Result<Found, kube::Error> {
    let used = |crd: &CustomResourceDefinition| {
        ctx.config.cluster_connections || crd.name_any() != ClusterProvidentConnection::crd_name()
    };
    let wanted: Vec<_> = api::crds().into_iter().filter(used).collect();
    let looked = try_join_all(wanted.iter().map(|crd| lacks(&ctx.client, crd))).await;
    match looked {
        Ok(each) => {
            let what: Vec<String> = each.into_iter().flatten().collect();
            Ok(if what.is_empty() {
                Found::Whole
            } else {
                Found::Lacking(what)
            })
        }
        Err(error) if cluster::refusal(&error).is_some() => Ok(Found::InvalidObject),
        Err(error) => Err(error),
    }
}

// What one of them lacks, in words.
async fn lacks(
    client: &Client,
    wanted: &CustomResourceDefinition,
) -> Result<Option<String>, kube::Error> {
    let all: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = wanted.name_any();
    match all.get(&name).await {
        Ok(installed) => {
            let fields = api::lacks(&installed, wanted);
            Ok((!fields.is_empty()).then(|| format!("{name} lacks {}", fields.join(", "))))
        }
        Err(error) if cluster::is_not_found(&error) => Ok(Some(format!("there is no {name}"))),
        Err(error) => Err(error),
    }
}

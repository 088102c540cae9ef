//! Whether the API server has the kinds that this program uses, with all their fields.
//!
//! A field that a definition lacks is dropped by the API server without a word. A claim that is dropped so would be no
//! claim; hence nothing is begun before the definitions are whole, and nothing while they are not.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec,
};
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client, CustomResourceExt, ResourceExt};
use serde::Deserialize;
use tracing::{debug, error, info, warn};

use crate::cluster;
use crate::context::Context;
use provident_core::api::{self, APPLY_CRDS, ClusterProvidentConnection};

/// How long until complete definitions are read again: older ones may have been applied meanwhile.
const LOOK_AGAIN: Duration = Duration::from_mins(5);
/// The same for incomplete definitions, and for those that could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// What is known of the definitions.
enum Found {
    Whole,
    /// There is no right to read them, as in an install without a `ClusterRole`.
    Forbidden,
    /// What each lacks.
    Lacking(Vec<String>),
}

/// Checks the definitions again and again, for as long as it runs.
pub(super) async fn watch_crds(ctx: Arc<Context>) {
    let used = |crd: &CustomResourceDefinition| {
        ctx.config.cluster_connections || crd.name_any() != ClusterProvidentConnection::crd_name()
    };
    let wanted: Vec<_> = api::crds().into_iter().filter(used).collect();
    let mut reported = None;
    loop {
        let wait = match look(&ctx.client, &wanted).await {
            Ok(Found::Lacking(what)) => {
                ctx.crds_ready.send_replace(Some(false));
                if reported.as_ref() != Some(&what) {
                    error!(
                        lacking = what.join("; "),
                        "CRDs are outdated; nothing is reconciled until they are updated. Run: {APPLY_CRDS}"
                    );
                    reported = Some(what);
                }
                RETRY
            }
            Ok(found) => {
                if reported.take().is_some() {
                    info!("CRDs are up to date");
                }
                ctx.crds_ready.send_replace(Some(true));
                if matches!(found, Found::Forbidden) {
                    debug!("No permission to read the CRDs; assuming that they are up to date");
                }
                LOOK_AGAIN
            }
            Err(error) => {
                let error = cluster::describe(&error);
                warn!(error, "Failed to read the CRDs, will retry");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(client: &Client, wanted: &[CustomResourceDefinition]) -> Result<Found, kube::Error> {
    let looked = try_join_all(wanted.iter().map(|crd| lacks(client, crd))).await;
    match looked {
        Ok(each) => {
            let what: Vec<String> = each.into_iter().flatten().collect();
            Ok(if what.is_empty() {
                Found::Whole
            } else {
                Found::Lacking(what)
            })
        }
        Err(error) if cluster::refusal(&error).is_some() => Ok(Found::Forbidden),
        Err(error) => Err(error),
    }
}

// What one of them lacks, in words. Only its spec is decoded: nothing depends on the rest.
async fn lacks(
    client: &Client,
    wanted: &CustomResourceDefinition,
) -> Result<Option<String>, kube::Error> {
    let resource = ApiResource::erase::<CustomResourceDefinition>(&());
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let name = wanted.name_any();
    let installed = match all.get(&name).await {
        Ok(installed) => installed,
        Err(error) if cluster::is_not_found(&error) => {
            return Ok(Some(format!("there is no {name}")));
        }
        Err(error) => return Err(error),
    };
    let spec = CustomResourceDefinitionSpec::deserialize(&installed.data["spec"]);
    let Ok(spec) = spec else {
        return Ok(Some(format!("{name} cannot be decoded")));
    };
    let installed = CustomResourceDefinition {
        spec,
        ..CustomResourceDefinition::default()
    };
    let fields = api::lacks(&installed, wanted);
    Ok((!fields.is_empty()).then(|| format!("{name} lacks {}", fields.join(", "))))
}

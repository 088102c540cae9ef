//! Which rotation is requested, and what is known of the one that is open.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use provident_core::api::{OAuthClientStatus, ROTATE};
use provident_core::plan::{
    MAX_CLOCK_SKEW, NoSchedule, Open, RecordedClient, Rotation, Token, Wait, requested_rotation,
};
use tracing::warn;

use crate::cluster;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;
use crate::oauth_client::requeue::next_rotation_of;
use crate::oauth_client::status::is_first_look;

pub(crate) async fn observe_rotation(
    held: &mut Held,
    status: &OAuthClientStatus,
    record: &RecordedClient,
    deleting: bool,
) -> Result<Rotation, Abort> {
    let uid = held.uid();
    let open = status.rotation.as_ref().map(|record| Open {
        token: Token {
            text: record.token.clone(),
            scheduled: record.scheduled,
        },
        state: held
            .ctx
            .state
            .rotations
            .observe(&uid, record, held.ctx.config.rotation_wait()),
    });
    if open.is_none() {
        held.ctx.state.rotations.forget(&uid);
    }
    let suspended = held.object.spec.suspend == Some(true);
    let bound = matches!(record, RecordedClient::Bound(_));
    // A token that came with the object is acknowledged: it may be a copy of one that was acted on long ago.
    let came_with_object = is_first_look(status) && open.is_none();
    if deleting || suspended || !bound || came_with_object {
        return Ok(Rotation {
            open,
            ..Rotation::default()
        });
    }
    if let Some(requested) = requested(held, status, None, open.as_ref()) {
        return Ok(Rotation {
            requested: Some(requested),
            waiting: None,
            open,
        });
    }
    let (due, waiting) = due(held, status, open.as_ref()).await?;
    Ok(Rotation {
        requested: requested(held, status, due, open.as_ref()),
        waiting,
        open,
    })
}

fn requested(
    held: &Held,
    status: &OAuthClientStatus,
    due: Option<Timestamp>,
    open: Option<&Open>,
) -> Option<Token> {
    let annotation = held.object.annotations().get(ROTATE);
    let acknowledged = status.last_handled_rotate.as_deref();
    requested_rotation(annotation.map(String::as_str), acknowledged, due, open)
}

// What the schedule requests now, if it is this object's turn: one scheduled rotation at a time per connection.
async fn due(
    held: &mut Held,
    status: &OAuthClientStatus,
    open: Option<&Open>,
) -> Result<(Option<Timestamp>, Option<Wait>), Abort> {
    let last: Option<&Time> = status.last_rotation_time.as_ref();
    let due = match next_rotation_of(&held.object, last) {
        None => return Ok((None, None)),
        Some(Err(NoSchedule)) => return Ok((None, Some(Wait::Schedule))),
        Some(Ok(due)) => due,
    };
    let Some(connection) = &held.connection else {
        return Ok((None, None));
    };
    if due > Timestamp::now() || requested(held, status, Some(due), open).is_none() {
        return Ok((None, None));
    }
    let turn = format!("rotate/{}", connection.fingerprint);
    let Some(turn) = held.ctx.state.locks.take(turn) else {
        return Ok((None, Some(Wait::Turn)));
    };
    let skew = cluster::clock_difference(&held.ctx.client)
        .await
        .map_err(Abort::Api)?;
    // Without a Date header, which a proxy may remove, the clocks cannot be compared: that is no skew.
    if skew.is_some_and(|skew| skew > MAX_CLOCK_SKEW) {
        warn!(
            ?skew,
            "Clocks of this host and of the API server differ; not starting the scheduled rotation"
        );
        return Ok((None, Some(Wait::Clock)));
    }
    held.rotation_turn = Some(turn);
    Ok((Some(due), None))
}

//! Executes one step. I/O only: what it has shown is an [`Observation`], and what that means is for [`Facts::apply`].

mod adopt;
mod create;
mod finalizer;
mod preflight;
mod restart;
mod rotate;
mod secret;
mod vendor;

use provident_core::plan::{Facts, Observation, Step};

use super::Abort;
use super::held::Held;
use super::observe::read_secret;

/// The one match over all steps.
pub(crate) async fn execute(
    step: &Step,
    facts: &Facts,
    held: &mut Held,
) -> Result<Observation, Abort> {
    match step {
        Step::ReadSecret => read_secret(facts, held).await,
        Step::Preflight => preflight::preflight(facts, held).await,
        Step::AddFinalizer => finalizer::add(held).await,
        Step::Claim { retry_of } => create::claim(facts, held, retry_of.as_ref()).await,
        Step::Create => create::create(facts, held).await,
        Step::Adopt(id) => adopt::adopt(facts, held, id).await,
        Step::Verify(id) => vendor::verify(facts, held, id).await,
        Step::Update(id, fields) => vendor::update(facts, held, id, fields).await,
        Step::WriteSecret(id) => secret::write(facts, held, id).await,
        Step::RestartWorkloads => restart::restart_workloads(held).await,
        Step::RecordRotation(token) => rotate::record(facts, held, token).await,
        Step::Rotate(id) => rotate::rotate(held, id).await,
        Step::Deactivate(id) => vendor::deactivate(held, id).await,
        Step::DisownSecret => secret::disown(held).await,
        Step::Release => finalizer::release(facts, held).await,
    }
}

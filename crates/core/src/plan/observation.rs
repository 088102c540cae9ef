//! What carrying out a step has shown, and how that changes the facts.

use super::blocked::Blocked;
use super::diff::Field;
use super::facts::{
    AdoptionFact, Attempt, AttemptId, AttemptState, AutoRetry, Conflict, Facts, Found, SecretFacts,
    Vendor,
};
use super::rotation::{Open, RotationState};
use super::step::Step;
use crate::vendor::outcome::{Ambiguity, Refusal};
use crate::vendor::types::ClientId;

/// What carrying out a step has shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// The step could not be carried out.
    Blocked(Blocked),
    /// The Secret was read, and with it what proves an adoption.
    SecretRead {
        /// The Secret.
        secret: SecretFacts,
        /// Whether there is a client to adopt.
        adoption: AdoptionFact,
    },
    /// The Secret as it is now: written, or found to be another than it was.
    Secret(SecretFacts),
    /// The dry run of the Secret write succeeded, and the connection's limiter granted a permit.
    PreflightPassed,
    /// Our finalizer is on the object.
    FinalizerAdded,
    /// The claim is in status under this id.
    Claimed(AttemptId),
    /// The request of a create or a rotation was not sent: it came too late after its record, or lacked a permit.
    NotSent,
    /// The vendor created this client.
    Created(ClientId, ClientAnswer),
    /// The vendor is known not to have created a client.
    NotCreated(Refusal, Blocked),
    /// Whether the vendor created a client is unknown.
    CreateUnknown {
        /// Why.
        ambiguity: Ambiguity,
        /// Whether the connection's policy retries it.
        auto_retry: AutoRetry,
    },
    /// The vendor returned the client that was asked for.
    Client(ClientAnswer),
    /// The vendor accepted an update, but its answer lacks fields, so only a GET can show the result.
    UpdatedUnseen,
    /// The vendor has no such client (404, over a connection whose account is verified).
    ClientMissing,
    /// So much time has passed since the claim that status must be written before the Secret.
    SecretTooLate,
    /// The workloads were restarted, or events say why not.
    WorkloadsRestarted,
    /// The record of the rotation is in status.
    RotationRecorded,
    /// The vendor accepted the rotation.
    RotationAccepted,
    /// The vendor is known not to have rotated.
    RotationRefused(Blocked),
    /// Whether the vendor rotated is unknown.
    RotationUnanswered,
    /// The vendor confirmed that the client is inactive.
    Deactivated,
    /// The `CustomResourceDefinition` is being deleted, so nothing was deactivated.
    CrdTerminating,
    /// Another object has the client, so nothing was deactivated.
    HeldElsewhere,
    /// Our finalizer is off the object.
    Released,
}

/// The vendor's client as an answer shows it, compared with the spec, the Secret and the open rotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientAnswer {
    /// Stated fields that differ.
    pub differs: Vec<Field>,
    /// The answer contained the client's secret.
    pub credentials: bool,
    /// `isActive`.
    pub active: bool,
    /// The Secret, compared with the credentials at hand.
    pub secret: SecretFacts,
    /// How the client's secret compares with the one before the open rotation; `None` without an open rotation.
    pub rotation: Option<SecretChange>,
    /// Workloads must restart for the Secret's new content.
    pub restart: bool,
}

/// How a client's secret compares with the one before the open rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretChange {
    /// It changed: the rotation happened.
    Rotated,
    /// It is the same; with what this process now knows of the rotation.
    Unchanged(RotationState),
}

impl Facts {
    /// Takes in what carrying out `step` has shown. Pure: the model checker runs this very function.
    pub fn apply(&mut self, step: &Step, observation: Observation) {
        match observation {
            Observation::Blocked(blocked) => self.blocked = Some(blocked),
            Observation::SecretRead { secret, adoption } => {
                self.secret = secret;
                self.adoption = adoption;
            }
            Observation::Secret(secret) => self.secret = secret,
            Observation::PreflightPassed => self.preflight = true,
            Observation::FinalizerAdded => self.finalizer = true,
            Observation::Claimed(id) => {
                self.attempt = Some(Attempt {
                    id,
                    retry_of: step.retry_of().cloned(),
                    state: AttemptState::Unsent { in_time: true },
                });
            }
            Observation::NotSent => self.not_sent(step),
            Observation::Created(client, answer) => {
                self.set_attempt(AttemptState::Created(client));
                self.set_client(answer);
            }
            Observation::NotCreated(refusal, blocked) => {
                self.set_attempt(AttemptState::NotCreated(refusal));
                self.blocked = Some(blocked);
            }
            Observation::CreateUnknown {
                ambiguity,
                auto_retry,
            } => {
                self.set_attempt(AttemptState::Unknown(ambiguity));
                self.auto_retry = auto_retry;
            }
            Observation::Client(answer) => {
                if let (Step::Adopt(client), AdoptionFact::Proof { in_place, .. }) =
                    (step, &self.adoption)
                {
                    self.adoption = AdoptionFact::Proven {
                        client: client.clone(),
                        in_place: *in_place,
                    };
                }
                self.updated |= step.is_update();
                self.set_client(answer);
            }
            Observation::UpdatedUnseen => {
                self.updated = true;
                self.vendor = Vendor::NotAsked;
            }
            Observation::ClientMissing => self.vendor = Vendor::Missing,
            Observation::SecretTooLate => self.vendor = Vendor::NotAsked,
            Observation::WorkloadsRestarted => self.restart = false,
            Observation::RotationRecorded => {
                self.rotation.open = step.rotation_token().map(|token| Open {
                    token: token.clone(),
                    state: RotationState::Unsent { in_time: true },
                });
                if let Vendor::Found(found) = &mut self.vendor {
                    found.rotated = false;
                }
            }
            Observation::RotationAccepted => self.rotation_sent(RotationState::Accepted),
            Observation::RotationRefused(blocked) => {
                self.rotation_sent(RotationState::Refused);
                self.blocked = Some(blocked);
            }
            Observation::RotationUnanswered => self.rotation_sent(RotationState::InProgress),
            Observation::Deactivated => self.vendor = Vendor::Deactivated,
            Observation::CrdTerminating => self.crd_terminating = true,
            // Which of the two is older does not matter to an object that is being deleted.
            Observation::HeldElsewhere => self.conflict = Conflict::WithYounger,
            Observation::Released => self.finalizer = false,
        }
    }

    fn not_sent(&mut self, step: &Step) {
        if step.is_rotation() {
            self.set_rotation(RotationState::Unsent { in_time: false });
            // The permit is spent, so the preflight must run again.
            self.preflight = false;
        } else {
            self.set_attempt(AttemptState::Unsent { in_time: false });
        }
    }

    fn set_attempt(&mut self, state: AttemptState) {
        if let Some(attempt) = &mut self.attempt {
            attempt.state = state;
        }
    }

    fn set_rotation(&mut self, state: RotationState) {
        if let Some(open) = &mut self.rotation.open {
            open.state = state;
        }
    }

    // Whatever the vendor answered to the rotation, only a GET shows the client's secret.
    fn rotation_sent(&mut self, state: RotationState) {
        self.set_rotation(state);
        self.vendor = Vendor::NotAsked;
    }

    fn set_client(&mut self, answer: ClientAnswer) {
        if let Some(SecretChange::Unchanged(state)) = answer.rotation {
            self.set_rotation(state);
        }
        self.vendor = Vendor::Found(Found {
            differs: answer.differs,
            credentials: answer.credentials,
            active: answer.active,
            rotated: answer.rotation == Some(SecretChange::Rotated),
        });
        self.secret = answer.secret;
        self.restart = answer.restart;
    }
}

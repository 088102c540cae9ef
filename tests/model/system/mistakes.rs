//! Mistakes that an operator of this kind could make, put into the model to show that the checker finds them: a checker that
//! finds nothing proves nothing.

/// A mistake that an operator of this kind could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A 503 counts as "nothing was created".
    ClaimDroppedOn503,
    /// The create is sent without a claim in the cluster.
    NoClaim,
    /// The claim is an annotation, which `kubectl replace` erases.
    ClaimInAnnotation,
    /// Status is written without checking that it is unchanged since it was read.
    StatusWithoutVersion,
    /// A process that starts considers attempts that it does not know as never sent.
    HoldForgottenOnRestart,
    /// A process forgets an attempt that it sent when a tenant empties status.
    EmptiedStatusForgotten,
    /// The finalizer is removed while another process's create may be in flight.
    ReleaseDuringAttempt,
    /// A pass writes the Secret of a new client before status, although the pass that created it is over.
    SecretFirstTooLate,
    /// A client is deactivated for the deletion that the view shows, without reading the object again.
    DeactivateUnread,
    /// An orphaned client is deactivated without checking again whether another object has it.
    OrphanUnchecked,
    /// A pass that has read the Secret considers an attempt abandoned that was not when it began.
    AbandonedDuringPass,
    /// The create, or the rotation, is sent without a preflight.
    PreflightSkipped,
    /// A Secret is considered right without reading it.
    SecretUnread,
    /// Status is written although nothing in it changes.
    WritesAlways,
    /// A process waits for another process's attempt for ever.
    WaitsForEver,
    /// A rotation is sent without a record in the cluster.
    RotationUnrecorded,
    /// The record of a rotation is written without checking that the object is unchanged.
    RecordWithoutVersion,
    /// A rotation whose outcome is unknown is sent again at once.
    ResentAtOnce,
    /// The answer to a rotation is trusted, and GET not asked.
    BodyTrusted,
    /// A token that came with the object requests a rotation.
    FirstTokenFollowed,
    /// A rotation is acknowledged when GET shows it, whether or not the Secret was written.
    AcknowledgedEarly,
    /// A process that knows a record does not notice that it was marked as accepted later.
    AcceptedUnnoticed,
    /// A process that starts forgets that an accepted rotation was reported as not applied.
    NotAppliedForgotten,
    /// An accepted token that another one replaces is not acknowledged.
    ReplacedUnacknowledged,
    /// A scheduled verification counts as done although its pass came to nothing.
    VerifiedInVain,
    /// The process that sent a rotation does not verify the client once another process has closed its record.
    SenderLooksAway,
    /// A client is adopted without comparing its secret with the proof.
    AdoptedUncompared,
    /// A client is adopted while a create for the object may be in flight.
    AdoptedDuringAttempt,
    /// `unknownOutcomePolicy: Retry` counts for every attempt, not for the first alone.
    RetriedForEver,
    /// A clientId in status is used without checking its binding.
    UnprovenUsed,
    /// A client is deactivated although the CRD is being deleted.
    UninstallUnseen,
    /// Wrong `apply`: a refused create counts as unsent, so its reason is lost.
    RefusalAppliedAsUnsent,
    /// Wrong `apply`: an unknown outcome counts as "nothing was created".
    UnknownAppliedAsNotCreated,
    /// Wrong `apply`: an answered update does not count as sent.
    UpdateForgotten,
    /// Wrong `apply`: that it is too late to write the Secret first is ignored.
    SecretTooLateIgnored,
    /// Wrong `apply`: after an accepted rotation the vendor's answer from before it still counts.
    AnswerKeptAfterRotation,
    /// Wrong `apply`: the preflight of a rotation that was not sent still counts, although its permit is spent.
    PreflightOutlivesPermit,
    /// Wrong `apply`: a claim forgets which held attempt it retries.
    RetryOfForgotten,
}

/// Each mistake, a run that finds it, and the promise that it breaks there.
pub const MISTAKES: &[(Mistake, &str, &str)] = &[
    (
        Mistake::ClaimDroppedOn503,
        "every reply, with crashes and lost answers",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::NoClaim,
        "two processes, a crash, a lost answer",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::ClaimInAnnotation,
        "kubectl replace",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::StatusWithoutVersion,
        "two processes, a crash, a lost answer",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::HoldForgottenOnRestart,
        "every reply, with crashes and lost answers",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::RetriedForEver,
        "the connection retries",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::ReleaseDuringAttempt,
        "deleted and declared again",
        "P3 the object outlives its create",
    ),
    (
        Mistake::SecretFirstTooLate,
        "a retry while a client waits to be stored",
        "P1 an object and its Secret name one client",
    ),
    (
        Mistake::DeactivateUnread,
        "deleted while the policy changes",
        "P5 no client or Secret reaches another tenant",
    ),
    (
        Mistake::OrphanUnchecked,
        "restored without status",
        "P5 no client or Secret reaches another tenant",
    ),
    (
        Mistake::AbandonedDuringPass,
        "deleted and declared again",
        "P3 nothing that was answered is lost",
    ),
    (
        Mistake::PreflightSkipped,
        "two processes, a crash, a lost answer",
        "P2 nothing is created or rotated that cannot be stored",
    ),
    (
        Mistake::SecretUnread,
        "two processes and a tenant who forges",
        "P4 Ready tells the truth",
    ),
    (
        Mistake::WritesAlways,
        "two processes, a crash, a lost answer",
        "P6 settled is silent",
    ),
    (
        Mistake::WaitsForEver,
        "two processes, a crash, a lost answer",
        "settles",
    ),
    (
        Mistake::PreflightSkipped,
        "a rotation by two processes",
        "P2 nothing is created or rotated that cannot be stored",
    ),
    (
        Mistake::RotationUnrecorded,
        "a rotation, every reply, crashes and lost answers",
        "P1 a token rotates once",
    ),
    (
        Mistake::RecordWithoutVersion,
        "a rotation by two processes",
        "P1 a token rotates once",
    ),
    (
        Mistake::ResentAtOnce,
        "a rotation, every reply, crashes and lost answers",
        "P1 a token rotates once",
    ),
    (
        Mistake::BodyTrusted,
        "a rotation, every reply, crashes and lost answers",
        "P4 Ready tells the truth",
    ),
    (
        Mistake::FirstTokenFollowed,
        "a rotation, deleted, declared again or restored",
        "P1 a token rotates once",
    ),
    (
        Mistake::AcknowledgedEarly,
        "a rotation, every reply, crashes and lost answers",
        "P4 an acknowledged rotation is in the Secret",
    ),
    (
        Mistake::AcceptedUnnoticed,
        "a rotation that GET shows late, by two processes",
        "P1 a token rotates once",
    ),
    (
        Mistake::NotAppliedForgotten,
        "a rotation by two processes",
        "P6 settled is silent",
    ),
    (
        Mistake::ReplacedUnacknowledged,
        "two tokens and a schedule",
        "P1 a token rotates once",
    ),
    (
        Mistake::VerifiedInVain,
        "a rotation while a person rotates at the vendor",
        "settles",
    ),
    (
        Mistake::SenderLooksAway,
        "a rotation while a person rotates at the vendor",
        "settles",
    ),
    (
        Mistake::PreflightOutlivesPermit,
        "a rotation, every reply, crashes and lost answers",
        "P6 settled is silent",
    ),
    (
        Mistake::AdoptedUncompared,
        "adoption with a wrong proof",
        "P5 no client or Secret reaches another tenant",
    ),
    (
        Mistake::AdoptedDuringAttempt,
        "adoption out of a hold",
        "P1 an attempt is recorded until its outcome is known",
    ),
    (
        Mistake::UnprovenUsed,
        "two processes and a tenant who forges",
        "P5 no client or Secret reaches another tenant",
    ),
    (
        Mistake::UninstallUnseen,
        "the CRD deleted",
        "P5 no client or Secret reaches another tenant",
    ),
    (
        Mistake::EmptiedStatusForgotten,
        "status emptied",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::RefusalAppliedAsUnsent,
        "every reply, with crashes and lost answers",
        "P4 Ready tells the truth",
    ),
    (
        Mistake::UnknownAppliedAsNotCreated,
        "every reply, with crashes and lost answers",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::UpdateForgotten,
        "a tenant who edits and forges",
        "P6 settled is silent",
    ),
    (
        Mistake::SecretTooLateIgnored,
        "every reply, with crashes and lost answers",
        "P6 settled is silent",
    ),
    (
        Mistake::AnswerKeptAfterRotation,
        "a rotation by two processes",
        "P4 Ready tells the truth",
    ),
    (
        Mistake::RetryOfForgotten,
        "the connection retries",
        "P1 no more creates than decisions",
    ),
];

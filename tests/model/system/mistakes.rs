//! Mistakes that an operator of this kind could make, put into the model to see that the checker finds them: one that
//! finds nothing proves nothing.

/// A mistake that an operator of this kind could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A 503 counts as "nothing was made".
    ClaimDroppedOn503,
    /// The create is sent without a claim in the cluster.
    NoClaim,
    /// The claim is an annotation, which `kubectl replace` erases.
    ClaimInAnnotation,
    /// Status is written whatever it has become since it was read.
    StatusWithoutVersion,
    /// A process that starts takes the attempts it does not know for attempts that were never sent.
    HoldForgottenOnRestart,
    /// The finalizer is taken off while another process's create may be on its way.
    ReleaseDuringAttempt,
    /// A pass writes the Secret of an answer before its status although the pass that asked is over.
    SecretFirstTooLate,
    /// A client is deactivated for the deletion that a view shows, without reading the object again.
    DeactivateUnread,
    /// A late answer's client is deactivated without asking again whether somebody keeps it.
    LateUnasked,
    /// A pass that has read the Secret takes a foreign attempt for over that was not when it read.
    OverAfterRead,
    /// The create, or the rotation, is sent without a preflight.
    PreflightSkipped,
    /// A Secret is taken for good unread.
    SecretUnread,
    /// Status is written though nothing in it changes.
    WritesAlways,
    /// A process waits for another's attempt for ever.
    WaitsForEver,
    /// A rotation is sent without a record in the cluster.
    RotationUnrecorded,
    /// The record of a rotation is written whatever the object has become.
    RecordWithoutVersion,
    /// A rotation whose outcome is not known is sent again at once.
    ResentAtOnce,
    /// The answer to a rotation is believed, and GET not asked.
    BodyTrusted,
    /// A token that came with the object is obeyed.
    ObeyedAtFirstLook,
    /// A rotation is acknowledged when GET shows it, whether or not the Secret could be written.
    AcknowledgedEarly,
    /// A process that sees a record does not notice when it is marked as accepted later.
    AcceptedUnnoticed,
    /// A process forgets on its start that the vendor did not do what it had said yes to.
    ToldAnew,
    /// A token that the vendor said yes to is replaced by another, and not acknowledged.
    ReplacedUnacknowledged,
    /// A scheduled verification counts as done although its pass came to nothing.
    VerifiedInVain,
    /// Who has sent a rotation does not look at what came of it, once somebody else has closed its record.
    SenderLooksAway,
    /// The permit of a rotation that was not sent is gone, and the preflight still counts.
    PreflightOutlivesPermit,
    /// A client is adopted without comparing its secret with the proof.
    AdoptedUncompared,
    /// A client is adopted while a create for the object may be on its way.
    AdoptedDuringAttempt,
    /// `unknownOutcomePolicy: Retry` counts for every attempt, not for the first alone.
    RetriedForEver,
    /// A clientId in status is used without looking at its binding.
    UnprovenUsed,
    /// A client is deactivated though the definition of our kind is being deleted.
    UninstallUnseen,
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
        "the connection tries again by itself",
        "P1 no more creates than decisions",
    ),
    (
        Mistake::ReleaseDuringAttempt,
        "deleted and declared again",
        "P3 the object outlives its create",
    ),
    (
        Mistake::SecretFirstTooLate,
        "retry while an answer waits to be stored",
        "P1 an object and its Secret name one client",
    ),
    (
        Mistake::DeactivateUnread,
        "deleted while the policy changes",
        "P5 nobody's client or Secret reaches anybody else",
    ),
    (
        Mistake::LateUnasked,
        "restored without status",
        "P5 nobody's client or Secret reaches anybody else",
    ),
    (
        Mistake::OverAfterRead,
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
        Mistake::ObeyedAtFirstLook,
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
        Mistake::ToldAnew,
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
        "a rotation while somebody rotates at the vendor",
        "settles",
    ),
    (
        Mistake::SenderLooksAway,
        "a rotation while somebody rotates at the vendor",
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
        "P5 nobody's client or Secret reaches anybody else",
    ),
    (
        Mistake::AdoptedDuringAttempt,
        "adoption out of a hold",
        "P1 an attempt stands until its outcome is known",
    ),
    (
        Mistake::UnprovenUsed,
        "two processes and a tenant who forges",
        "P5 nobody's client or Secret reaches anybody else",
    ),
    (
        Mistake::UninstallUnseen,
        "the definition deleted",
        "P5 nobody's client or Secret reaches anybody else",
    ),
];

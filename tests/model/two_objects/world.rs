//! Two objects that name one client in `spec.adoption`, and two processes.

use provident_core::plan::Facts;

/// An `OAuthClient`. The one of the lower number is the older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object {
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalizer: bool,
    /// Status records the client, with a binding.
    pub bound: bool,
    /// The `Ready` condition.
    pub shown: Shown,
}

/// What a person reads in the `Ready` condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Nothing yet.
    #[default]
    Pending,
    /// `Ready=True`
    Ready,
    /// `ClientInUse`
    InUse,
    /// Any other reason.
    NotReady,
}

/// One pass over an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The object as the watch showed it, or as this pass wrote it.
    pub view: Object,
    /// The facts, changed by `Facts::apply` only.
    pub facts: Facts,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The objects, as the watch shows them.
    pub cached: [Option<Object>; 2],
    /// Its own reports that the watch has not shown yet.
    pub recorded: [bool; 2],
    /// Something changed since a pass found nothing to do.
    pub awake: [bool; 2],
    /// At most one pass per object.
    pub passes: [Option<Pass>; 2],
    /// The object whose pass holds the lock of the client's adoption.
    pub lock: Option<usize>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The objects.
    pub objects: [Option<Object>; 2],
    /// Whose Secret holds the credentials.
    pub secrets: [bool; 2],
    /// The client is active.
    pub active: bool,
    /// It was deactivated while an object that is not being deleted had it.
    pub taken: bool,
    /// The processes.
    pub processes: Vec<Process>,
    /// Deletions that may still come.
    pub deletes: u8,
    /// Crashes, likewise.
    pub crashes: u8,
    /// Nobody interferes any more.
    pub calm: bool,
}

impl Process {
    fn new(objects: [Option<Object>; 2]) -> Self {
        Self {
            cached: objects,
            recorded: [false; 2],
            awake: [true; 2],
            passes: [None, None],
            lock: None,
        }
    }

    /// The pass over this object ends.
    pub fn end(&mut self, o: usize, awake: bool) {
        self.passes[o] = None;
        self.awake[o] |= awake;
        if self.lock == Some(o) {
            self.lock = None;
        }
    }
}

impl World {
    /// Two objects, just declared.
    pub fn new(processes: usize, deletes: u8, crashes: u8) -> Self {
        let objects = [Some(Object::default()); 2];
        Self {
            objects,
            secrets: [false; 2],
            active: true,
            taken: false,
            processes: vec![Process::new(objects); processes],
            deletes,
            crashes,
            calm: false,
        }
    }

    /// Stores an object.
    pub fn store(&mut self, o: usize, object: Option<Object>) {
        self.objects[o] = object;
        self.secrets[o] &= object.is_some();
    }

    /// An object is deleted.
    pub fn delete(&mut self, o: usize) {
        self.deletes -= 1;
        let finalized = |object: &Object| object.finalizer;
        let object = self.objects[o].filter(finalized).map(|object| Object {
            deleting: true,
            ..object
        });
        self.store(o, object);
    }

    /// A process crashes, and another starts.
    pub fn crash(&mut self, p: usize) {
        self.crashes -= 1;
        self.processes[p] = Process::new(self.objects);
    }

    /// Whether the other object has the client and is not being deleted.
    pub fn is_held_by_other(&self, o: usize) -> bool {
        self.objects[1 - o].is_some_and(|other| other.bound && !other.deleting)
    }
}

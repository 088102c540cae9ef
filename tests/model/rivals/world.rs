//! Two objects that name one client in `spec.adoption`, and two processes.

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
    /// Another object that has the client, as the watch showed it: older or not.
    pub conflict: Option<bool>,
    /// The client may be adopted.
    pub free: bool,
    /// It was adopted in this pass.
    pub adopted: bool,
    /// Whether the client was active when the vendor was asked.
    pub verified: Option<bool>,
    /// It was deactivated in this pass.
    pub deactivated: bool,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// The objects, as the watch shows them.
    pub heard: [Option<Object>; 2],
    /// Its own reports that the watch has not shown yet.
    pub recorded: [bool; 2],
    /// Something changed since a pass found nothing to do.
    pub awake: [bool; 2],
    /// At most one pass per object.
    pub passes: [Option<Pass>; 2],
    /// The object whose pass holds the client's name.
    pub guard: Option<usize>,
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
            heard: objects,
            recorded: [false; 2],
            awake: [true; 2],
            passes: [None, None],
            guard: None,
        }
    }

    /// The pass over this object is over.
    pub fn end(&mut self, o: usize, awake: bool) {
        self.passes[o] = None;
        self.awake[o] |= awake;
        if self.guard == Some(o) {
            self.guard = None;
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

    /// A process dies, and another starts.
    pub fn crash(&mut self, p: usize) {
        self.crashes -= 1;
        self.processes[p] = Process::new(self.objects);
    }

    /// Whether an object other than this one has the client and is not being deleted.
    pub fn is_kept_by_another(&self, o: usize) -> bool {
        self.objects[1 - o].is_some_and(|other| other.bound && !other.deleting)
    }
}

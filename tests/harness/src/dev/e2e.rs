//! `cargo dev e2e`: the image and the chart on a real node, as people install, use, upgrade and remove them.

mod application;
mod figures;
mod release;
mod tools;
mod vendor;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Result;
use harness::{
    Node,
    binaries::{self, CONTROL_PLANE, HELM_CLIENT, NODE},
    node,
};

/// Where the chart goes, and where the application is.
const SYSTEM: &str = "provident-system";
const SHOP: &str = "shop";

/// Runs the test. A signal ends it as it ends any program, and all that it started ends with it.
pub async fn e2e() -> Result<()> {
    match node::obstacle() {
        None => run().await,
        Some(obstacle) => {
            println!("e2e: not on this machine: {obstacle}");
            Ok(())
        }
    }
}

struct Test {
    node: Node,
    helm: PathBuf,
    root: PathBuf,
    http: reqwest::Client,
    clock: Clock,
}

async fn run() -> Result<()> {
    let mut clock = Clock::start();
    let wanted = [CONTROL_PLANE.as_slice(), &NODE, &[HELM_CLIENT]].concat();
    let paths = tokio::task::spawn_blocking(move || binaries::ensure(&wanted)).await??;
    clock.done("the cluster's programs are there");

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let node = Node::start().await?;
    clock.done("a node is ready, and a control plane");
    let mut test = Test {
        node,
        helm: paths[HELM_CLIENT.name].clone(),
        root,
        http: reqwest::Client::builder().no_proxy().build()?,
        clock,
    };
    test.image()?;
    test.install()?;
    test.connect()?;
    test.application()?;
    test.rotate()?;
    test.upgrade_and_roll_back()?;
    test.kill_leader()?;
    test.figures().await?;
    test.uninstall().await
}

/// One line per step: the time since the start, the step's own time, and what is true now.
struct Clock {
    began: Instant,
    step: Instant,
}

impl Clock {
    fn start() -> Self {
        println!("  total    step");
        let now = Instant::now();
        Self {
            began: now,
            step: now,
        }
    }

    fn done(&mut self, what: &str) {
        let (total, step) = (self.began.elapsed(), self.step.elapsed());
        println!(
            "{:5.1} s {:5.1} s  {what}",
            total.as_secs_f32(),
            step.as_secs_f32()
        );
        self.step = Instant::now();
    }
}

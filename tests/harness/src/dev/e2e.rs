//! `cargo dev e2e`: tests the image and the chart on a real node, the way people install, use, upgrade and remove them.

mod application;
mod metrics;
mod release;
mod tools;
mod vendor;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, bail};
use harness::{
    Node,
    binaries::{self, CONTROL_PLANE, HELM_CLIENT, NODE, Release},
    node,
};

/// The namespaces of the release and of the application.
const SYSTEM: &str = "provident-system";
const SHOP: &str = "shop";

/// Runs the test, or says why it cannot run here, which is an error with `require`.
///
/// A signal ends it as it ends any program, and everything that it started ends with it.
pub async fn e2e(release: Release, require: bool) -> Result<()> {
    match node::obstacle() {
        None => run(release).await,
        Some(obstacle) if require => bail!("this machine cannot run a node: {obstacle}"),
        Some(obstacle) => {
            println!(
                "Not checked: image and chart on a node, because this machine cannot run one: {obstacle}"
            );
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

async fn run(release: Release) -> Result<()> {
    let mut clock = Clock::start();
    let wanted = [CONTROL_PLANE.as_slice(), &NODE, &[HELM_CLIENT]].concat();
    let build = move || binaries::ensure(&wanted, release);
    let paths = tokio::task::spawn_blocking(build).await??;
    clock.done(&format!(
        "the programs of Kubernetes {release} are available"
    ));

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let node = Node::start(release).await?;
    clock.done("a control plane and a node are ready");
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
    test.metrics().await?;
    test.uninstall().await?;
    test.clock.passed();
    Ok(())
}

/// Prints one line per step: the time since the start, the step's own time, and what the step has shown.
struct Clock {
    began: Instant,
    step: Instant,
    steps: u32,
}

impl Clock {
    fn start() -> Self {
        println!("  total    step");
        let now = Instant::now();
        Self {
            began: now,
            step: now,
            steps: 0,
        }
    }

    fn done(&mut self, what: &str) {
        let (total, step) = (self.began.elapsed(), self.step.elapsed());
        println!(
            "{:5.1} s {:5.1} s  {what}",
            total.as_secs_f32(),
            step.as_secs_f32()
        );
        self.steps += 1;
        self.step = Instant::now();
    }

    fn passed(&self) {
        println!(
            "\ne2e: ok, all {} steps passed in {:.0} s",
            self.steps,
            self.began.elapsed().as_secs_f32()
        );
    }
}

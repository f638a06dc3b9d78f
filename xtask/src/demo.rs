//! `cargo xtask demo`: what bpf2iam does, as a short story on a node made for it.
//!
//! Whatever it claims was checked in this run, and a claim that does not hold makes the verb fail. However it ends,
//! nothing of it stays on the machine; what a killed one leaves behind is removed by the next.

use anyhow::{Result, bail, ensure};
use bpf2iam_support::{stage::Programs, sweep};

use crate::{build, cx::Cx, install, interrupt::Interrupt, profile::Profile, programs};

mod ask;
mod attach;
mod before;
mod change;
mod end;
mod keep;
mod kernel;
mod machine;
mod page;
mod roles;
mod rules;
mod scene;
mod status;
mod ways;

use page::Page;
use scene::Scene;

/// What the node is made and looked at with.
const NEEDS: [install::Package; 4] = [
    install::BPFTOOL,
    install::CURL,
    install::IPROUTE2,
    install::NFTABLES,
];

/// What to do besides telling.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave everything up before the end, to try commands in the pods
    #[arg(long)]
    keep: bool,
}

/// Tells the story; fails if it is not true.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    machine::check()?;
    install::debian(cx, &NEEDS)?;
    kernel::check()?;
    let agent = build::all(cx, Profile::Dev)?.agent;
    let programs = programs::around(agent, cx, Profile::Dev, &[])?.programs;
    let interrupt = Interrupt::listen()?;
    let mut page = Page::begin();
    match tell(&mut page, programs, args, &interrupt) {
        Ok(()) => end(&page, args),
        Err(_) if interrupt.came() => interrupted(),
        Err(error) => Err(error),
    }
}

fn interrupted() -> Result<()> {
    let left = sweep::of_this_process()?;
    ensure!(left.is_empty(), "interrupted, and this is left: {left:?}");
    bail!("interrupted; what it had made is removed")
}

fn end(page: &Page, args: &Args) -> Result<()> {
    page.finish()?;
    if !args.keep {
        page.text("To try commands in the pods yourself: cargo xtask demo --keep");
    }
    Ok(())
}

fn tell(page: &mut Page, programs: Programs, args: &Args, interrupt: &Interrupt) -> Result<()> {
    let scene = Scene::set(programs, interrupt)?;
    scene.introduce(page);
    before::tell(page, &scene)?;
    let running = attach::tell(page, &scene)?;
    roles::tell(page, &scene)?;
    ways::tell(page, &scene)?;
    change::tell(page, &scene)?;
    status::tell(page, &scene, &running.agent)?;
    if args.keep {
        keep::wait(page, &scene)?;
    }
    end::tell(page, scene, running)
}

//! The sidecar of a service mesh: what the pod's firewall sends to it, it sends on to where that was going, itself.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    thread,
};

use rustix::{net::sockopt, process::Uid, thread::set_thread_uid};

use crate::{
    args::Args,
    say,
    trouble::{During as _, Trouble},
};

/// What it is called.
pub(crate) const NAME: &str = "relay";

/// `relay --port PORT --uid UID`: says `relaying`, and does so until it is ended. The firewall tells its connections by the
/// user.
pub(crate) fn run(args: &Args) -> Option<Result<String, Trouble>> {
    (args.attempt() == NAME).then(|| relay(args))
}

fn relay(args: &Args) -> Result<String, Trouble> {
    let (port, uid) = (args.required("--port")?, args.required("--uid")?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).during("bind")?;
    // The threads that this one starts are that user's too.
    set_thread_uid(Uid::from_raw(uid)).during("setuid")?;
    say("relaying").during("say")?;
    loop {
        let (client, _) = listener.accept().during("accept")?;
        thread::spawn(move || say(&format!("relayed: {:?}", pass_on(&client))));
    }
}

fn pass_on(client: &TcpStream) -> io::Result<u64> {
    let to = sockopt::ip_original_dst(client)?;
    let server = TcpStream::connect(to)?;
    let (mut from, mut into) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let copied = io::copy(&mut from, &mut into);
        into.shutdown(Shutdown::Write).and(copied)
    });
    let copied = io::copy(&mut &server, &mut &*client)?;
    client.shutdown(Shutdown::Write)?;
    Ok(copied)
}

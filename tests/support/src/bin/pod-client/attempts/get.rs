//! What an ordinary client does: a request, with a token if it wants one.

use bpf2iam_support::client::Report;

use crate::{
    args::Args,
    exchange,
    http::Request,
    socket,
    trouble::{During as _, Trouble},
};

/// `get PATH [--method M] [--header LINE]... [--body TEXT] [--token]`. With `--token` a token is fetched
/// before, and its report returned if there is none.
pub(super) fn get(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let mut request = Request::get(args.operand().unwrap_or_else(|| args.path()));
    if let Some(method) = args.text("--method") {
        method.clone_into(&mut request.method);
    }
    request.headers = args.all("--header").map(str::to_owned).collect();
    args.text("--body")
        .unwrap_or("")
        .clone_into(&mut request.body);
    if args.has("--token") {
        put(&Request::token(), args, report)?;
        let Some((200, token)) = report.status.zip(report.body.take()) else {
            return Ok(());
        };
        request = request.in_session(&token);
    }
    put(&request, args, report)
}

fn put(request: &Request, args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    let socket = socket::stream(socket::family(&to), None).during("socket")?;
    socket::connect(&socket, &to).during("connect")?;
    exchange::put(socket, request, report)
}

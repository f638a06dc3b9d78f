//! What an ordinary client does: a request, with a token if it wants one.

use bpf2iam_support::client::Report;

use crate::{
    args::Args,
    exchange,
    http::Request,
    socket,
    trouble::{During as _, Trouble},
};

/// How an IMDSv2 client asks for a token: as long as there is.
const TOKEN_LIFE: &str = "X-aws-ec2-metadata-token-ttl-seconds: 21600";

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
        put(&token_request(), args, report)?;
        let Some((200, token)) = report.status.zip(report.body.take()) else {
            return Ok(());
        };
        let header = format!("X-aws-ec2-metadata-token: {token}");
        request.headers.push(header);
    }
    put(&request, args, report)
}

fn token_request() -> Request {
    Request {
        method: "PUT".to_owned(),
        headers: vec![TOKEN_LIFE.to_owned()],
        ..Request::get("/latest/api/token")
    }
}

fn put(request: &Request, args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    let socket = socket::stream(socket::family(&to), None).during("socket")?;
    socket::connect(&socket, &to).during("connect")?;
    exchange::put(socket, request, report)
}

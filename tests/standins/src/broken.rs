//! Answers that come in pieces, or not to their end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use crate::serve::{Closed, Pieces, Response};

/// What comes next.
enum Piece {
    Bytes(Bytes),
    Pause(Duration),
    Close,
}

/// The second half comes later.
pub(crate) fn slow(response: Response, pause: Duration) -> hyper::Response<Pieces> {
    response.map(|body| {
        let (first, second) = halves(&body);
        send(vec![
            Piece::Bytes(first),
            Piece::Pause(pause),
            Piece::Bytes(second),
        ])
    })
}

/// The second half never comes, and the connection is closed.
pub(crate) fn cut(response: Response) -> hyper::Response<Pieces> {
    response.map(|body| send(vec![Piece::Bytes(halves(&body).0), Piece::Close]))
}

fn halves(body: &Bytes) -> (Bytes, Bytes) {
    let mut first = body.clone();
    let second = first.split_off(body.len() / 2);
    (first, second)
}

fn send(pieces: Vec<Piece>) -> Pieces {
    let frames = stream::unfold(pieces.into_iter(), |mut pieces| async {
        loop {
            match pieces.next()? {
                Piece::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), pieces)),
                Piece::Pause(pause) => tokio::time::sleep(pause).await,
                Piece::Close => {
                    // What was said before is written first.
                    tokio::task::yield_now().await;
                    return Some((Err(Closed), pieces));
                }
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

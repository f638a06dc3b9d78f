//! Connections to the API server, below TLS.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;

/// A server that does not even answer a SYN in this time is away.
const CONNECT: Duration = Duration::from_secs(5);

/// How soon the kernel asks whether the other machine is still there: watches are quiet for long.
const FIRST: Duration = Duration::from_secs(20);

/// How soon again while there is no answer, ...
const NEXT: Duration = Duration::from_secs(5);

/// ... and how often. Then it is away.
const TIMES: u32 = 3;

pub(super) fn connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(FIRST));
    tcp.set_keepalive_interval(Some(NEXT));
    tcp.set_keepalive_retries(Some(TIMES));
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tower::Service as _;

    use super::*;

    #[tokio::test]
    async fn a_server_that_vanished_is_noticed_within_35_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let stream = connector().call(url.parse().unwrap()).await.unwrap();
        let socket = socket2::SockRef::from(stream.inner());
        assert!(socket.keepalive().unwrap());
        let time = socket.tcp_keepalive_time().unwrap();
        let interval = socket.tcp_keepalive_interval().unwrap();
        let times = socket.tcp_keepalive_retries().unwrap();
        assert_eq!(time + interval * times, Duration::from_secs(35));
    }
}

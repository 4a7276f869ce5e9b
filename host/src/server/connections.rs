//! Connections of one door, few and none for long: who connects and says
//! nothing takes a place for seconds, and beyond the places of a door one is
//! turned away. Every door has places of its own, so that no other one is shut
//! by it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::serve::Listener;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;
use tower::ServiceExt;

/// Connections that one door has at one time.
const PLACES: usize = 64;
/// How long a request's head may take, from the connection or from the last
/// answer on.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a body may take after its head.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long somebody is listened to who is turned away.
const REFUSAL_TIME: Duration = Duration::from_millis(100);

/// Serves connections until `stop` resolves, with what `router_for` has for who
/// is at the other end. Requests under way are then finished, and who comes
/// meanwhile is turned away.
pub(super) async fn serve<L>(
    mut listener: L,
    router_for: impl Fn(L::Addr) -> Router,
    stop: impl Future<Output = ()>,
) where
    L: Listener,
{
    let places = Arc::new(Semaphore::new(PLACES));
    let (stopping, stopped) = watch::channel(false);
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let connection = connection(stream, router_for(peer), stopped.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(_) => turn_away(stream, "this door has no place free, try again later").await,
        }
    }
    stopping.send_replace(true);
    let all = u32::try_from(PLACES).unwrap_or(u32::MAX);
    let ended = places.acquire_many(all);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            _ = &mut ended => return,
            (stream, _) = listener.accept() => turn_away(stream, "thrall is being stopped").await,
        }
    }
}

async fn connection<S>(stream: S, router: Router, stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let request: Request = request.map(|body| Body::new(TimedBody::new(body)));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|e| match e {})) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = is_set(stopped) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn is_set(mut flag: watch::Receiver<bool>) {
    // An error means that nobody serves this door any more.
    drop(flag.wait_for(|set| *set).await);
}

/// Says why in one write, and hangs up.
async fn turn_away(mut stream: impl AsyncWrite + Unpin, why: &str) {
    let body = serde_json::json!({
        "type": "urn:thrall:problem:no_place", "title": "no_place", "status": 503, "detail": why
    })
    .to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // Who does not listen need not be told.
    drop(tokio::time::timeout(REFUSAL_TIME, said).await);
}

/// A request's body, as long as it comes in time.
struct TimedBody {
    body: Incoming,
    ends: Pin<Box<Sleep>>,
}

impl TimedBody {
    fn new(body: Incoming) -> Self {
        Self { body, ends: Box::pin(tokio::time::sleep(BODY_TIME)) }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        self.ends.as_mut().poll(context).map(|()| {
            let late = format!("the body did not come within {} s", BODY_TIME.as_secs());
            Some(Err(axum::Error::new(io::Error::new(io::ErrorKind::TimedOut, late))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! One connection from its first byte to its end, with a timer that no state of it escapes.

use super::Connection;
use actix_http::error::DispatchError;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Serves until `serving` is done, or until the client has taken longer than `deadline`, which closes the connection. Once
/// it is `stopping`, an idle connection ends at once: nobody waits for a client that keeps one open.
pub async fn serve(
    serving: impl Future<Output = Result<(), DispatchError>>,
    connection: Connection,
    deadline: Duration,
    stopping: CancellationToken,
) -> Result<(), DispatchError> {
    // The time runs at once: a connection that never says anything ends too.
    let (mut serving, mut timer, mut stopped) = (pin!(serving), pin!(sleep(deadline)), pin!(stopping.cancelled()));
    poll_fn(|cx| {
        connection.begin_turn();
        if let Poll::Ready(done) = serving.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if connection.take_restart() {
            timer.as_mut().reset(Instant::now() + deadline);
        }
        let is_over = timer.as_mut().poll(cx).is_ready();
        if is_over || connection.is_idle() && stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        if connection.wants_turn() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await
}

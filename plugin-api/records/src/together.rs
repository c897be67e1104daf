//! Several questions at once: a silent server must not cost the others their time.

use std::{future::poll_fn, pin::Pin, task::Poll};

/// Does all of it at once, and gives what came of each, in order.
///
/// Each is polled whenever one of them wakes: for dozens, not for thousands.
pub async fn together<F: Future>(work: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut work: Vec<Pin<Box<F>>> = work.into_iter().map(Box::pin).collect();
    let mut came: Vec<Option<F::Output>> = work.iter().map(|_| None).collect();
    poll_fn(|task| {
        for (one, came) in work.iter_mut().zip(&mut came).filter(|(_, came)| came.is_none()) {
            if let Poll::Ready(ended) = one.as_mut().poll(task) {
                *came = Some(ended);
            }
        }
        if came.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    came.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    /// Is ready when it is asked for the n-th time.
    async fn after(polls: u32, value: u32) -> u32 {
        let mut left = polls;
        poll_fn(|_| {
            left -= 1;
            if left == 0 { Poll::Ready(value) } else { Poll::Pending }
        })
        .await
    }

    #[test]
    fn everything_goes_on_at_once_and_comes_back_in_order() {
        let mut all = Box::pin(together([after(3, 10), after(1, 20), after(2, 30)]));
        let mut task = Context::from_waker(Waker::noop());
        assert!(all.as_mut().poll(&mut task).is_pending() && all.as_mut().poll(&mut task).is_pending());
        assert_eq!(all.as_mut().poll(&mut task), Poll::Ready(vec![10, 20, 30]));
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        let mut none = Box::pin(together(std::iter::empty::<std::future::Ready<()>>()));
        assert_eq!(none.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(vec![]));
    }
}

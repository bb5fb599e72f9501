//! Asking many at once.

use std::thread;

/// What each answers, in their order; none where asking it failed.
pub fn all<T: Sync, A: Send>(asked: &[T], ask: impl Fn(&T) -> A + Sync) -> Vec<Option<A>> {
    let ask = &ask;
    thread::scope(|scope| {
        let asking: Vec<_> = asked
            .iter()
            .map(|asked| scope.spawn(move || ask(asked)))
            .collect();
        let answers = asking.into_iter().map(|asking| asking.join().ok());
        answers.collect()
    })
}

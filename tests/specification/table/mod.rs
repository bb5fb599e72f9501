//! The filter's behaviours: a configuration, a request, what the upstream answers, and what is expected.

mod asset_fallback;
mod caching;
mod classes;
mod conditions;
mod failures;
mod hostile;
mod observing;
mod own_answers;
mod pin_cookie;
mod pitfalls;
mod preview;
mod scope;
mod skew;
mod sources;
mod versions;
mod weights;

use skew_guard_behaviour::Behaviour;

/// What depends on the protocol: tried over HTTP/2 as well, in every version of Envoy.
pub fn of_the_protocol() -> Vec<Behaviour> {
    let tables = [
        versions::behaviours(),
        hostile::behaviours(),
        own_answers::behaviours(),
        failures::behaviours(),
    ];
    tables.into_iter().flatten().collect()
}

/// What depends on the proxy too: tried in every version of Envoy.
pub fn of_the_proxy() -> Vec<Behaviour> {
    let tables = [
        of_the_protocol(),
        conditions::behaviours(),
        asset_fallback::behaviours(),
    ];
    tables.into_iter().flatten().collect()
}

/// What depends on the filter alone.
pub fn of_the_filter() -> Vec<Behaviour> {
    let tables = [
        scope::behaviours(),
        classes::behaviours(),
        sources::behaviours(),
        weights::behaviours(),
        preview::behaviours(),
        pin_cookie::behaviours(),
        caching::behaviours(),
        skew::behaviours(),
        observing::behaviours(),
        pitfalls::behaviours(),
    ];
    tables.into_iter().flatten().collect()
}

/// All of them.
pub fn all() -> Vec<Behaviour> {
    let mut all = of_the_proxy();
    all.extend(of_the_filter());
    all
}

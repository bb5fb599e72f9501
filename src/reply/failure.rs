//! Envoy's own failures: no pod of the release that was asked for, or no cluster.

use crate::headers::Headers;
use crate::policy::{Policy, Release};
use crate::version::is_version_byte;

use super::response::Response;

/// The name that the chart and the examples give the route that catches a missing release.
const CATCH_ALL_ROUTE: &[u8] = b"skew-guard-absent";

/// Envoy's response flags
/// ([access log, RESPONSE_FLAGS](https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage)),
/// by their places in `CoreResponseFlag`.
///
/// No healthy host in the cluster, `UH`.
pub const NO_HEALTHY_UPSTREAM: u64 = 0x2;
/// No connection to the host, `UF`: an outage, and no word about the release.
pub const UPSTREAM_CONNECTION_FAILURE: u64 = 0x20;
/// No such cluster, `NC`.
pub const NO_CLUSTER_FOUND: u64 = 0x0100_0000;

/// Whether an answer is Envoy's own, because it found no pod of this release, or no cluster of it.
/// The response flags tell, since a status may be anything, and is 200 in gRPC.
pub fn is_of(policy: &Policy, release: &Release, response: &dyn Response) -> bool {
    if is_upstreams(response.headers()) {
        return false;
    }
    let flags = flags(response);
    if flags & (NO_HEALTHY_UPSTREAM | NO_CLUSTER_FOUND) == 0
        || has(response, &["response", "code_details"], |details| {
            details == b"via_upstream"
        })
    {
        return false;
    }
    if flags & NO_HEALTHY_UPSTREAM != 0 {
        has(response, &["xds", "cluster_name"], |cluster| {
            is_cluster_of(policy, release, cluster)
        })
    } else {
        has(response, &["xds", "route_name"], |route| {
            route == CATCH_ALL_ROUTE || holds_word(route, release.route.as_bytes())
        })
    }
}

/// Whether the headers show that an upstream gave the answer, which saves a call to the host: Envoy's router notes the
/// time that an upstream took, unless it is told to suppress its headers, and notes none on its own replies
/// ([router filter](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-upstream-service-time)).
/// The number of headers says nothing, since a route may add as many as it likes to either.
fn is_upstreams(headers: Headers<'_>) -> bool {
    headers.first("x-envoy-upstream-service-time").is_some()
}

/// 0 if the host does not tell.
fn flags(response: &dyn Response) -> u64 {
    response
        .attribute(&["response", "flags"])
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

fn has(response: &dyn Response, path: &[&str], test: impl FnOnce(&[u8]) -> bool) -> bool {
    response.attribute(path).is_some_and(|value| test(&value))
}

fn is_cluster_of(policy: &Policy, release: &Release, cluster: &[u8]) -> bool {
    holds_route(cluster, release.route.as_bytes())
        || policy
            .reload
            .clusters
            .iter()
            .any(|named| named.as_bytes() == cluster)
}

/// Whether a cluster is that of a route. Istio's names have parts, `outbound|8080|v1-4-2|api.shop.svc`, of
/// which the third is the subset: a version may look like a port. Other names contain it as a whole word.
fn holds_route(cluster: &[u8], route: &[u8]) -> bool {
    match cluster
        .split(|&byte| byte == b'|')
        .collect::<Vec<_>>()
        .as_slice()
    {
        [b"outbound" | b"inbound", _, subset, _] => *subset == route,
        _ => holds_word(cluster, route),
    }
}

/// Whether a name contains a route as a whole word: `shop-v1-4` and `v1-4|api` contain `v1-4`. `v1-4-2`
/// does not, because what follows could continue a route, and then the shorter one is not meant.
fn holds_word(name: &[u8], word: &[u8]) -> bool {
    name.windows(word.len()).enumerate().any(|(start, window)| {
        let before = start.checked_sub(1).and_then(|at| name.get(at));
        let after = name.get(start + word.len());
        window == word
            && !before.is_some_and(u8::is_ascii_alphanumeric)
            && !after.is_some_and(|&byte| is_version_byte(byte))
    })
}

//! What caches may do with an answer, in the words of `cache-control`
//! ([RFC 9111](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2)).

use crate::request::Class;

/// `cache-control` for an answer for this visitor only, made from what the upstream said.
pub fn private(upstream: &str, class: Class) -> String {
    if has(upstream, "no-store") {
        return upstream.to_owned();
    }
    if class != Class::Asset {
        return "private, no-cache".to_owned();
    }
    let mut directives = vec!["private"];
    directives.extend(directives_of(upstream).filter(|directive| {
        let name = name_of(directive);
        !["public", "private", "s-maxage"]
            .iter()
            .any(|shared| name.eq_ignore_ascii_case(shared))
    }));
    directives.join(", ")
}

/// The headers that shared caches obey in preference to `cache-control`: those of
/// [RFC 9213](https://www.rfc-editor.org/rfc/rfc9213), of the Edge Architecture Specification, and of vendors.
pub const OF_SHARED_CACHES: [&str; 7] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "edge-control",
    "netlify-cdn-cache-control",
    "surrogate-control",
    "vercel-cdn-cache-control",
    "x-accel-expires",
];

/// `cache-control` for an answer that must not be stored.
pub const NO_STORE: &str = "private, no-store";

fn has(value: &str, name: &str) -> bool {
    directives_of(value).any(|directive| name_of(directive).eq_ignore_ascii_case(name))
}

fn directives_of(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

fn name_of(directive: &str) -> &str {
    directive.split('=').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_keeps_its_age_but_leaves_shared_caches() {
        assert_eq!(
            private(
                "public, max-age=31536000, s-maxage=600, immutable",
                Class::Asset
            ),
            "private, max-age=31536000, immutable"
        );
        assert_eq!(private("", Class::Asset), "private");
    }

    #[test]
    fn a_document_and_an_api_answer_are_asked_for_again() {
        assert_eq!(
            private("max-age=600", Class::Navigation),
            "private, no-cache"
        );
        assert_eq!(private("", Class::Api), "private, no-cache");
    }

    #[test]
    fn an_upstreams_no_store_stays() {
        assert_eq!(
            private("No-Store, public", Class::Asset),
            "No-Store, public"
        );
        assert_eq!(private("no-store", Class::Api), "no-store");
    }
}

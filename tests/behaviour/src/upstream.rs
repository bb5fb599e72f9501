//! What answers a forwarded request.

/// An upstream's answer, or Envoy's own failure to find one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// An application answers.
    Answers {
        /// The status.
        status: u16,
        /// Its header lines.
        headers: Vec<(&'static str, String)>,
        /// Its body.
        body: String,
    },
    /// The cluster of this name has no pod.
    NoPods(&'static str),
    /// The route of this name has a cluster that does not exist.
    NoCluster(&'static str),
    /// The cluster of this name has a pod that refuses connections.
    Refuses(&'static str),
}

/// An answer of this status, without headers and body.
#[must_use]
pub fn says(status: u16) -> Upstream {
    Upstream::Answers {
        status,
        headers: Vec::new(),
        body: String::new(),
    }
}

/// An answer of the API.
#[must_use]
pub fn json() -> Upstream {
    says(200).and("content-type", "application/json").body("{}")
}

/// A page.
#[must_use]
pub fn html() -> Upstream {
    says(200)
        .and("content-type", "text/html; charset=utf-8")
        .body("<!doctype html>")
}

/// A script that any cache may keep for ten minutes.
#[must_use]
pub fn file() -> Upstream {
    says(200)
        .and("content-type", "text/javascript")
        .and("cache-control", "public, max-age=600")
        .body("run()")
}

/// No pod in this cluster.
#[must_use]
pub fn no_pods(cluster: &'static str) -> Upstream {
    Upstream::NoPods(cluster)
}

/// No cluster behind this route.
#[must_use]
pub fn no_cluster(route: &'static str) -> Upstream {
    Upstream::NoCluster(route)
}

/// A pod in this cluster that refuses connections.
#[must_use]
pub fn refusing(cluster: &'static str) -> Upstream {
    Upstream::Refuses(cluster)
}

impl Upstream {
    /// The same answer with one more line.
    #[must_use]
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answers { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// The same answer with these additional lines.
    #[must_use]
    pub fn and_all(self, lines: &[(&'static str, &str)]) -> Self {
        lines
            .iter()
            .fold(self, |answer, (name, value)| answer.and(name, value))
    }

    /// The same answer with another status.
    #[must_use]
    pub fn status(mut self, other: u16) -> Self {
        if let Self::Answers { status, .. } = &mut self {
            *status = other;
        }
        self
    }

    /// The same answer with this body.
    #[must_use]
    pub fn body(mut self, other: &str) -> Self {
        if let Self::Answers { body, .. } = &mut self {
            other.clone_into(body);
        }
        self
    }

    /// The same answer from a pod that states its version.
    #[must_use]
    pub fn of(self, version: &str) -> Self {
        self.and("x-app-version", version)
    }
}

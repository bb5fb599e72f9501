//! What can be decided on a request: the vocabulary that the rules, the answers, the counters and the
//! command-line tool share.

use std::fmt;
use std::rc::Rc;

use crate::pin::Bucket;
use crate::policy::{GoneReason, Release};
use crate::preview;
use crate::request::{Class, Grpc};
use crate::source::Carrier;
use crate::version::Version;

pub mod rules;

/// What is done with one request within the scope, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The rule that decided.
    pub rule: Rule,
    /// What is counted.
    pub outcome: Outcome,
    /// What kind of request it is.
    pub class: Class,
    /// The version that the client said it has.
    pub client: Option<Client>,
    /// What happens to the request.
    pub action: Action,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes on.
    Forward(Forward),
    /// The filter answers it.
    Reply(LocalReply),
}

/// A request that goes on, and what its answer needs.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The release that is to answer; absent: the mesh chooses, and no route header is written.
    pub release: Option<Rc<Release>>,
    /// What shared and private caches may do with the answer.
    pub caching: Caching,
    /// The request headers that are removed because they make the answer depend on what the client
    /// already has: releases often share an ETag, and a 304 would leave it with what it has from
    /// another release.
    pub removed: Vec<&'static str>,
    /// Whether the browser said the page's origin: then the answer's headers may have to be exposed
    /// to its scripts.
    pub has_origin: bool,
    /// The visitor's pin as a navigation found it, where there is a pin cookie to keep.
    pub visitor: Option<Visitor>,
    /// What happens if Envoy cannot reach the release; absent: Envoy's answer stands.
    pub if_gone: Option<IfGone>,
}

/// What happens if Envoy finds no pod, or no cluster, of the release that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfGone {
    /// The client is told that its version is gone.
    Reply(GoneReply),
    /// A page is sent to current.
    Leave {
        /// Where the browser is sent if it was the URL that named the release; absent: Envoy's answer
        /// stands.
        location: Option<String>,
        /// Whether the visitor's pin is taken away.
        expires_pin: bool,
    },
}

/// How a client is told that its release is gone, in a way that it understands. An origin is that of
/// the page whose script may read the answer, if that is not the site itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoneReply {
    /// "Reload", to a script.
    Reload {
        /// The origin whose scripts may read it.
        origin: Option<String>,
        /// The dialect of gRPC to use.
        grpc: Option<Grpc>,
        /// The URL of the page that called a Server Action of Next.js; the router of Next.js goes
        /// there.
        action_from: Option<String>,
    },
    /// "Reload", to the person who sent a form.
    Page,
    /// "Reload", to the person who looks at a frame.
    Frame,
    /// 204: what the preflight asks for is allowed, so that the request itself is made and then
    /// told.
    Preflight {
        /// The page's, which is an allowed one.
        origin: String,
        /// The method that is asked for.
        method: String,
        /// The headers that are asked for; empty for none.
        headers: String,
    },
    /// 404, not stored: the file of a release that is gone.
    NotFound {
        /// The origin whose scripts may read it.
        origin: Option<String>,
    },
}

/// An answer that the filter gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalReply {
    /// The client's version is gone.
    Gone {
        /// Why.
        why: GoneReason,
        /// How it is said.
        reply: GoneReply,
    },
    /// A speculative load is declined.
    Declined,
    /// The preview cookie is set or cleared, and the browser sent to the URL without the key.
    Preview(preview::Redirect),
    /// The preview link names a version that no release has.
    NoSuchPreview(Version),
}

/// A version that a client stated, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The version.
    pub version: Version,
    /// Where it was found.
    pub carrier: Carrier,
}

/// The rules, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A CORS preflight is never refused.
    Preflight = 3,
    /// The path is never pinned.
    UnpinnedPath = 4,
    /// The preview key was presented.
    Preview = 5,
    /// A navigation is assigned to current, and so is anything else without a version.
    Current = 6,
    /// The version is denied, or below the oldest that is served.
    Refused = 7,
    /// A release has the version.
    Named = 8,
    /// A release accepts the version.
    Accepted = 9,
    /// No release serves the version.
    NotServed = 10,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Preflight => {
                "a CORS preflight follows the URL's version, else current, and is never refused"
            }
            Self::UnpinnedPath => "the path is one of unpinnedPaths",
            Self::Preview => "the preview key opens staged releases and served ones",
            Self::Current => "a navigation, or a request without a usable version, goes to current",
            Self::Refused => "the version is denied or below minVersion",
            Self::Named => "a release has this version",
            Self::Accepted => "a release accepts this version",
            Self::NotServed => "no release serves this version",
        };
        write!(f, "rule {}: {sentence}", *self as u8)
    }
}

/// What a decision is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Routed to the release of its client version.
    Pinned,
    /// Routed to a release that accepts its client version.
    Compatible,
    /// Assigned to current, though it carries a version.
    Current,
    /// Assigned to current, or left to the mesh, because it carries no version.
    Unversioned,
    /// As unversioned, but a source held something that is not a version.
    Invalid,
    /// As unversioned, but a page of this origin made the request, and it has a version that it did not
    /// say.
    Uncovered,
    /// Assigned to current, or left to the mesh, because no release knows its version.
    Unknown,
    /// No release can answer it.
    Gone,
    /// Routed by a preview key.
    Preview,
    /// A speculative load that would have changed the pin cookie; the browser repeats it when it is
    /// meant.
    Declined,
    /// Passed through, because no good configuration is known.
    Unconfigured,
}

impl Outcome {
    /// All outcomes, in the order of [`Outcome::index`].
    pub const ALL: [Self; 11] = [
        Self::Pinned,
        Self::Compatible,
        Self::Current,
        Self::Unversioned,
        Self::Invalid,
        Self::Uncovered,
        Self::Unknown,
        Self::Gone,
        Self::Preview,
        Self::Declined,
        Self::Unconfigured,
    ];

    /// The outcome as a metric's tag has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Compatible => "compatible",
            Self::Current => "current",
            Self::Unversioned => "unversioned",
            Self::Invalid => "invalid",
            Self::Uncovered => "uncovered",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::Preview => "preview",
            Self::Declined => "declined",
            Self::Unconfigured => "unconfigured",
        }
    }

    /// The place of the outcome in [`Outcome::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What caches may do with an answer, if not what the upstream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// What the upstream says.
    AsUpstreamSays,
    /// For this visitor only: something decided that is not part of a cache's key.
    Private,
    /// For nobody: the answer may not be what the URL names.
    NoStore,
    /// As [`Caching::NoStore`], unless the pod says that it has the version of the request.
    NoStoreUnlessItsVersion,
}

/// A visitor's pin as a navigation found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The bucket in the cookie, or the one drawn now.
    pub bucket: Option<Bucket>,
    /// Whether the bucket was drawn now.
    pub is_new: bool,
    /// The version that the cookie has.
    pub version: Option<Version>,
    /// Whether the visitor has a pin cookie.
    pub has_cookie: bool,
    /// Whether the browser is only loading ahead.
    pub is_speculative: bool,
}

impl Visitor {
    /// Whether the cookie has to be written when a release of this version answers.
    #[must_use]
    pub fn changes_to(&self, version: &Version) -> bool {
        self.is_new || self.version.as_ref() != Some(version)
    }
}

impl Decision {
    /// The release that shall answer, where one was chosen.
    #[must_use]
    pub fn release(&self) -> Option<&Rc<Release>> {
        match &self.action {
            Action::Forward(forward) => forward.release.as_ref(),
            Action::Reply(_) => None,
        }
    }

    /// The version that the client said it has.
    #[must_use]
    pub fn client_version(&self) -> Option<&Version> {
        self.client.as_ref().map(|client| &client.version)
    }

    /// The same, if a log may contain it: a cookie's value may be a secret if a configuration names the wrong
    /// cookie.
    #[must_use]
    pub fn client_version_for_logs(&self) -> Option<&Version> {
        let client = self.client.as_ref();
        client
            .filter(|client| client.carrier != Carrier::Cookie)
            .map(|client| &client.version)
    }
}

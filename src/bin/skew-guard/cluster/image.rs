//! Whether a registry hands out an image, asked before a gateway is told to fetch it.

use std::fmt;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

use super::installation::Plugin;
use super::kubectl::Kubectl;

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pull {
    /// The registry hands it out, to this machine and with the Secret that the gateways use.
    Possible,
    /// The registry has no such image, or does not hand it out, in its words.
    Refused(String),
    /// It cannot be asked from here, and why.
    Unknown(String),
}

/// What a registry says, in skopeo's words, of an image that it does not have, whoever asks. Anything else may be the way
/// from here to the registry.
const ABSENT: &[&str] = &[
    "manifest unknown",
    "name unknown",
    "repository name not known",
];

/// What it says to somebody who may not have the image; some say it of what they do not have, too.
const DENIED: &[&str] = &["unauthorized", "authentication required", "denied"];

impl Pull {
    /// Asks the registry for the plugin's image through skopeo, which is not needed for anything else.
    pub fn of(kubectl: &Kubectl, plugin: &Plugin) -> Self {
        let Some(image) = plugin.url.strip_prefix("oci://") else {
            return Self::Unknown(format!("{} is not fetched as an image", plugin.url));
        };
        let credentials = match credentials(kubectl, plugin) {
            Ok(credentials) => credentials,
            Err(why) => return Self::Unknown(why),
        };
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--raw", "--command-timeout=20s"]);
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(error) => return Self::Unknown(error.to_string()),
        };
        let is_anonymous = credentials.is_none();
        if let Some(credentials) = credentials {
            let file = folder.path().join("auth.json");
            if let Err(error) = fs::write(&file, credentials) {
                return Self::Unknown(error.to_string());
            }
            skopeo.arg("--authfile").arg(file);
        } else {
            skopeo.arg("--no-creds");
        }
        skopeo.arg(format!("docker://{}", without_tag(image)));
        match skopeo.stdin(Stdio::null()).output() {
            Ok(answer) if answer.status.success() => Self::Possible,
            Ok(answer) => Self::told(&String::from_utf8_lossy(&answer.stderr), is_anonymous),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::Unknown("skopeo, which asks the registry, is not on the PATH".to_owned())
            }
            Err(error) => Self::Unknown(format!("skopeo cannot be run: {error}")),
        }
    }

    fn told(complaint: &str, is_anonymous: bool) -> Self {
        let last = essence(complaint);
        let says = |words: &[&str]| words.iter().any(|words| complaint.contains(words));
        if says(ABSENT) || (says(DENIED) && !is_anonymous) {
            Self::Refused(last)
        } else if says(DENIED) {
            // A gateway may have credentials of its own, of its node or its cloud.
            Self::Unknown(format!(
                "the registry wants credentials, and the plugin names no imagePullSecret: {last}"
            ))
        } else {
            Self::Unknown(last)
        }
    }
}

/// Whether an image is named by a tag alone, which may be moved.
pub fn is_tag(url: &str) -> bool {
    url.starts_with("oci://") && !url.contains("@sha256:")
}

/// The last line, without what skopeo puts around it: `time="…" level=fatal msg="manifest unknown"`.
fn essence(complaint: &str) -> String {
    let last = complaint.lines().rfind(|line| !line.trim().is_empty());
    let last = last.unwrap_or("skopeo failed and said nothing").trim();
    let said = last.split_once("msg=\"").map_or(last, |(_, said)| said);
    said.trim_end_matches('"').replace("\\\"", "\"")
}

/// Of `name:tag@digest` the digest counts, and skopeo takes one of both only.
fn without_tag(image: &str) -> String {
    let Some((name, digest)) = image.split_once('@') else {
        return image.to_owned();
    };
    let (path, last) = name.rsplit_once('/').unwrap_or(("", name));
    let last = last.split_once(':').map_or(last, |(last, _)| last);
    format!("{path}/{last}@{digest}")
}

/// What is in the pull secret; none where there is none.
fn credentials(kubectl: &Kubectl, plugin: &Plugin) -> Result<Option<String>, String> {
    let secret = &plugin.image_pull_secret;
    if secret.is_empty() {
        return Ok(None);
    }
    let namespace = format!("--namespace={}", plugin.namespace);
    let template = r#"--output=go-template={{index .data ".dockerconfigjson" | base64decode}}"#;
    let read = kubectl.run(["get", "secret", secret, &namespace, template]);
    read.map(Some).map_err(|problem| {
        format!(
            "the pull secret {}/{secret} cannot be read: {problem}",
            plugin.namespace
        )
    })
}

impl fmt::Display for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Possible => f.write_str("can be pulled"),
            Self::Refused(why) => write!(f, "cannot be pulled: {why}"),
            Self::Unknown(why) => write!(f, "was not looked for: {why}"),
        }
    }
}

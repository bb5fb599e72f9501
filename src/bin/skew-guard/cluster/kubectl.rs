//! Running kubectl.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::access::Access;
use super::objects::List;
use super::problem::Problem;

/// The oldest kubectl that is relied on, (major, minor): Istio 1.24, the oldest line that is tested, needs a
/// Kubernetes of this age.
const OLDEST: (u64, u64) = (1, 28);

/// No single request may outlast a pipeline's patience.
const REQUEST_TIMEOUT: &str = "--request-timeout=15s";

/// Where a Pod finds its own namespace; kubectl uses it there too.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The user's kubectl, pointed at a cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    access: Access,
}

/// Which namespaces a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'n> {
    Namespace(&'n str),
    All,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    // Beside it are `major` and `minor`, which are empty in a kubectl that was built as a Go module.
    git_version: String,
}

impl Version {
    fn is_too_old(&self) -> bool {
        let version = self.git_version.trim_start_matches('v');
        semver::Version::parse(version).is_ok_and(|version| (version.major, version.minor) < OLDEST)
    }
}

impl Kubectl {
    /// Finds kubectl and makes sure that it is new enough. The cluster is not asked yet.
    pub fn find(access: &Access) -> Result<Self, Problem> {
        let kubectl = Self {
            access: access.clone(),
        };
        let versions: Versions = parsed(
            &kubectl.run(["version", "--client", "--output=json"])?,
            "version",
        )?;
        match versions.client_version {
            version if version.is_too_old() => Err(Problem::TooOld {
                version: version.git_version,
                oldest: OLDEST,
            }),
            _ => Ok(kubectl),
        }
    }

    /// The namespace that was asked for, else the context's, as kubectl would choose it.
    pub fn namespace(&self) -> Result<String, Problem> {
        if let Some(namespace) = &self.access.namespace {
            return Ok(namespace.clone());
        }
        let path = "jsonpath={..namespace}";
        let of_context = self.run(["config", "view", "--minify", "--output", path]);
        match of_context.as_deref().map(str::trim) {
            Ok("") => Ok("default".to_owned()),
            Ok(namespace) => Ok(namespace.to_owned()),
            // In a Pod there is no kubeconfig.
            Err(problem) => std::fs::read_to_string(POD_NAMESPACE)
                .map(|namespace| namespace.trim().to_owned())
                .map_err(|_| problem.clone()),
        }
    }

    /// The objects of a kind (`pods`, `wasmplugins.extensions.istio.io`) with these labels (`app=shop`; "" for all).
    pub fn list<T: DeserializeOwned>(
        &self,
        kind: &str,
        scope: Scope<'_>,
        labels: &str,
    ) -> Result<Vec<T>, Problem> {
        let scope = match scope {
            Scope::Namespace(namespace) => format!("--namespace={namespace}"),
            Scope::All => "--all-namespaces".to_owned(),
        };
        let selector = format!("--selector={labels}");
        let listed: List<T> = self.get([kind, &scope, &selector])?;
        Ok(listed.items)
    }

    /// One object; none where it is not there.
    pub fn object<T: DeserializeOwned>(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        match self.get([kind, name, &format!("--namespace={namespace}")]) {
            Err(Problem::NotFound(_)) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// `kubectl get … --output=json`.
    pub fn get<T: DeserializeOwned, S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<T, Problem> {
        let mut command = self.command();
        command.args(["get", "--output=json", REQUEST_TIMEOUT]);
        command.args(arguments);
        parsed(&answer(command, None)?, "get")
    }

    /// A path of the API, `kubectl get --raw`.
    pub fn raw(&self, path: &str) -> Result<String, Problem> {
        self.run(["get", REQUEST_TIMEOUT, "--raw", path])
    }

    /// Begins to delete an object, where it is there.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<(), Problem> {
        let namespace = format!("--namespace={namespace}");
        let arguments = ["delete", kind, name, &namespace];
        let options = ["--wait=false", "--ignore-not-found", REQUEST_TIMEOUT];
        self.run(arguments.into_iter().chain(options))?;
        Ok(())
    }

    /// Runs kubectl with these arguments, and returns what it printed.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, Problem> {
        let mut command = self.command();
        command.args(arguments);
        answer(command, None)
    }

    /// The same with something to read, as `kubectl apply --filename=-` wants it.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<String, Problem> {
        let mut command = self.command();
        command.args(arguments).arg(REQUEST_TIMEOUT);
        answer(command, Some(input))
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("kubectl");
        command.args(self.access.arguments());
        command
    }
}

/// What it printed. Nobody is there to type an answer.
fn answer(mut command: Command, input: Option<&[u8]>) -> Result<String, Problem> {
    let failed = |error| Problem::from_spawn_error(&error);
    command
        .stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = command.spawn().map_err(failed)?;
    if let (Some(mut stdin), Some(input)) = (running.stdin.take(), input) {
        // A program that does not read it to its end has a reason, which is reported below.
        let _unread = stdin.write_all(input);
    }
    let output = running.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Problem::from_stderr(&String::from_utf8_lossy(
        &output.stderr,
    )))
}

fn parsed<T: DeserializeOwned>(answer: &str, what: &str) -> Result<T, Problem> {
    serde_json::from_str(answer).map_err(|error| {
        Problem::Failed(format!(
            "cannot understand the answer of `kubectl {what}`: {error}"
        ))
    })
}

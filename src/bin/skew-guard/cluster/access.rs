//! Which cluster, and who asks.

use std::ffi::OsString;
use std::path::PathBuf;

/// Which cluster is asked; what is left out is kubectl's choice.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct Access {
    /// The kubeconfig file; by default kubectl's own choice
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; by default its current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The namespace of the Helm release; by default that of the context
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
}

impl Access {
    /// An option that was given; for commands that may not ask a cluster at all.
    pub fn given(&self) -> Option<&'static str> {
        let options = [
            ("--kubeconfig", self.kubeconfig.is_some()),
            ("--context", self.context.is_some()),
            ("--namespace", self.namespace.is_some()),
        ];
        options
            .into_iter()
            .find_map(|(option, is_given)| is_given.then_some(option))
    }

    /// As arguments of kubectl. The namespace is none of them: each command says its own.
    pub fn arguments(&self) -> Vec<OsString> {
        let kubeconfig = self.kubeconfig.iter().flat_map(|file| {
            [
                OsString::from("--kubeconfig"),
                file.clone().into_os_string(),
            ]
        });
        let context = self
            .context
            .iter()
            .flat_map(|name| [OsString::from("--context"), name.into()]);
        kubeconfig.chain(context).collect()
    }
}

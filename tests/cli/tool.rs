//! The tool, and files to run it on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const TOOL: &str = env!("CARGO_BIN_EXE_skew-guard");

/// A directory of files for one test.
pub struct Workspace(TempDir);

/// How a run of the tool ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Workspace {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).expect("a file");
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }

    /// The names of all files.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    /// Runs the tool where the files are.
    pub fn run(&self, arguments: &[&str]) -> Run {
        run_in(self.0.path(), arguments)
    }

    /// Starts the tool where the files are, with programs from that folder alone.
    pub fn start_with_path(&self, folder: &Path, arguments: &[&str]) -> Child {
        let mut command = command(self.0.path(), arguments);
        command.env("PATH", folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the tool runs")
    }

    /// Runs the tool where the files are, with programs from that folder alone.
    pub fn run_with_path(&self, folder: &Path, arguments: &[&str]) -> Run {
        end_of(self.start_with_path(folder, arguments))
    }

    /// Runs the tool where the files are, and reads none of its output.
    pub fn run_unread(&self, arguments: &[&str]) -> Run {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        ended(
            command(self.0.path(), arguments)
                .stdout(writer)
                .stderr(Stdio::piped()),
        )
    }

    /// Starts the tool where the files are, with this standard output.
    pub fn start(&self, arguments: &[&str], out: impl Into<Stdio>) -> Child {
        let mut command = command(self.0.path(), arguments);
        command.stdout(out).stderr(Stdio::piped());
        command.spawn().expect("the tool runs")
    }

    /// Runs the tool where the files are, after a shell has prepared something that only it sees:
    /// mounts, for instance.
    pub fn run_after(&self, prepare: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new("unshare");
        command.current_dir(self.0.path());
        command.args(["--mount", "--map-root-user", "--", "sh", "-ec"]);
        command.args([&format!("{prepare}\nexec \"$0\" \"$@\""), TOOL]);
        ended(
            command
                .args(arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )
    }

    /// The tool's machine-readable answer.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[&["--output", "json"], arguments].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }
}

/// Runs the tool in the root of the repository.
pub fn run(arguments: &[&str]) -> Run {
    run_in(Path::new(env!("CARGO_MANIFEST_DIR")), arguments)
}

fn run_in(directory: &Path, arguments: &[&str]) -> Run {
    ended(
        command(directory, arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(TOOL);
    command.current_dir(directory).args(arguments);
    command
}

fn ended(command: &mut Command) -> Run {
    end_of(command.spawn().expect("the tool runs"))
}

/// Waits for a run, and returns how it ended.
pub fn end_of(running: Child) -> Run {
    let output = running.wait_with_output().expect("the tool ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run {
        code: output.status.code().expect("an exit status"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Run {
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Expects these words in the answer.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.out.contains(words), "{words:?} in {self:?}");
        self
    }

    /// Expects the answer not to contain these words.
    #[track_caller]
    pub fn never_says(self, words: &str) -> Self {
        assert!(!self.out.contains(words), "{words:?} in {self:?}");
        self
    }
}

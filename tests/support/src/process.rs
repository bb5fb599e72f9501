//! A child process whose output is kept in a file, and which never outlives its parent.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tempfile::NamedTempFile;

use crate::wait;

/// How many lines of its output a failed process shows.
const LINES_SHOWN: usize = 60;

/// How often to check whether a process has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// A running child. Dropping it ends it; if the thread is panicking (a test failed), the end of the child's output
/// is shown first.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: NamedTempFile,
    ending: Ending,
}

/// How a process ends when it is dropped, and when its parent dies without a chance to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// SIGKILL.
    AtOnce,
    /// SIGTERM, and after this time SIGKILL: for processes that must end their own children.
    Within(Duration),
}

impl Ending {
    fn first_signal(self) -> Signal {
        match self {
            Self::AtOnce => Signal::KILL,
            Self::Within(_) => Signal::TERM,
        }
    }
}

impl Process {
    /// Starts the command with no standard input, and with its output and errors in one file.
    pub fn start(name: impl Into<String>, command: Command) -> Result<Self> {
        Self::start_ending(name.into(), command, Ending::AtOnce)
    }

    /// The same for a process with children of its own: it is asked to end, and killed only after that time.
    pub fn start_with_grace(
        name: impl Into<String>,
        command: Command,
        grace: Duration,
    ) -> Result<Self> {
        Self::start_ending(name.into(), command, Ending::Within(grace))
    }

    fn start_ending(name: String, mut command: Command, ending: Ending) -> Result<Self> {
        let log = NamedTempFile::new().context("a file for the output")?;
        // Both descriptors append, otherwise the errors would overwrite the output.
        command
            .stdin(Stdio::null())
            .stdout(append(&log)?)
            .stderr(append(&log)?);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = spawn(command, ending.first_signal())
            .with_context(|| format!("starting {name} ({program})"))?;
        Ok(Self {
            name,
            child,
            log,
            ending,
        })
    }

    /// The name of the process in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it printed so far.
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        match File::open(self.log.path()).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(the output of {} cannot be read: {error})", self.name),
        }
    }

    /// The end of its output, as shown on failure.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let shown = lines.len().saturating_sub(LINES_SHOWN);
        lines.into_iter().skip(shown).collect::<Vec<_>>().join("\n")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with the end of its output, if it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended with {status}; it printed:\n{}",
                self.name,
                self.log_tail()
            ),
        }
    }

    /// Waits until it answers its probe; fails at once if it has ended instead.
    pub async fn serving(&mut self, mut probe: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let what = self.name.clone();
        wait::until_some(&what, async || {
            if let Err(ended) = self.check_running() {
                return Ok(Some(Err(ended)));
            }
            Ok(probe().await?.then_some(Ok(())))
        })
        .await
        .with_context(|| format!("{what} printed:\n{}", self.log_tail()))?
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("sending a signal to {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits until it has; after `grace` it is killed, which is an error.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!(
            "{} did not end within {grace:?}; it printed:\n{}",
            self.name,
            self.log_tail()
        )
    }

    fn wait_for_end(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(PAUSE);
        }
    }

    /// Kills it at once, as a crash or the kernel would (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors mean that it has already ended, which is the goal.
        if let Ending::Within(grace) = self.ending {
            let _ = self.signal(Signal::TERM);
            self.wait_for_end(grace);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {} printed ----\n{}", self.name, self.log_tail());
        }
    }
}

fn append(log: &NamedTempFile) -> io::Result<File> {
    File::options().append(true).open(log.path())
}

/// Starts the command from a thread that lasts as long as this process does.
///
/// The kernel's parent-death signal is sent when the *thread* that forked ends (prctl(2)), and the threads of a test
/// runner and of a runtime come and go.
fn spawn(mut command: Command, at_parents_death: Signal) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                // This fails only if the thread that asked has died.
                let _ = reply.send(command.spawn());
            }
        });
        jobs
    });
    end_with_parent(&mut command, at_parents_death);
    let (reply, answer) = mpsc::channel();
    SPAWNER.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

/// Makes the kernel end the child if this process dies without a chance to do so itself.
#[expect(
    unsafe_code,
    reason = "the standard library has no safe way to run a system call between fork and exec"
)]
fn end_with_parent(command: &mut Command, signal: Signal) {
    // SAFETY: the closure makes one system call and touches no memory, lock or allocator of the parent.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(signal)).map_err(io::Error::from)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn exists(process: i32) -> bool {
        Pid::from_raw(process).is_some_and(|id| rustix::process::test_kill_process(id).is_ok())
    }

    #[tokio::test]
    async fn output_and_errors_are_kept_in_order() -> Result<()> {
        let mut process = Process::start("sh", shell("echo one; echo two >&2; echo three"))?;
        wait::until("the end", async || Ok(process.ended()?.is_some())).await?;
        assert_eq!(process.log(), "one\ntwo\nthree\n");
        Ok(())
    }

    #[tokio::test]
    async fn a_process_that_ended_too_early_is_shown_with_what_it_said() -> Result<()> {
        let mut process = Process::start("sh", shell("echo no room; exit 3"))?;
        wait::until("the end", async || Ok(process.ended()?.is_some())).await?;
        let problem = process.check_running().map_err(|error| error.to_string());
        assert_eq!(
            problem,
            Err("sh ended with exit status: 3; it printed:\nno room".into())
        );
        Ok(())
    }

    #[test]
    fn dropping_a_process_ends_it() -> Result<()> {
        let process = Process::start("sh", shell("exec sleep 600"))?;
        let id = i32::try_from(process.id())?;
        assert!(exists(id));
        drop(process);
        assert!(!exists(id));
        Ok(())
    }

    #[tokio::test]
    async fn a_process_with_grace_ends_its_children_before_it_is_dropped() -> Result<()> {
        let script = "sleep 600 & trap 'kill $!; wait; echo done; exit 0' TERM; echo $!; wait";
        let grace = Duration::from_secs(60);
        let process = Process::start_with_grace("sh", shell(script), grace)?;
        let child =
            wait::until_some("the child", async || Ok(process.log().trim().parse().ok())).await?;
        drop(process);
        assert!(!exists(child));
        Ok(())
    }
}

//! Running a program that has to end in time.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

/// What a program has printed, once it has ended; none if it had not ended in time, and was stopped.
///
/// It prints into files, since a pipe that nobody empties would hold it up.
pub fn output(command: &mut Command, limit: Duration) -> io::Result<Option<Output>> {
    let (out, err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()?;
    let Some(status) = child.wait_timeout(limit)? else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    Ok(Some(Output {
        status,
        stdout: printed(out)?,
        stderr: printed(err)?,
    }))
}

fn printed(mut file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> io::Result<Option<Output>> {
        output(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn what_a_program_has_printed_is_read_however_much_it_is() -> io::Result<()> {
        let script = "i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i + 1)); done; echo no >&2; exit 3";
        let ended = shell(script, Duration::from_secs(600))?;
        let ended = ended.map(|output| (output.status.code(), output.stdout.len(), output.stderr));
        assert_eq!(ended, Some((Some(3), 99_000, b"no\n".to_vec())));
        Ok(())
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() -> io::Result<()> {
        assert!(shell("exec sleep 600", Duration::from_millis(50))?.is_none());
        Ok(())
    }
}

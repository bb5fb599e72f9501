//! How `release` and `rollback` write a file: completely or not at all, whatever happens meanwhile.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::tool::{Workspace, end_of};

const VALUES: &str = "releases:\n- version: \"1.0.0\"\ncurrent: \"1.0.0\"\n";
const STEP: [&str; 3] = ["release", "shop.yaml", "2.0.0"];

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("shop.yaml", VALUES);
    workspace
}

#[test]
fn a_step_that_cannot_be_told_is_not_made() {
    let workspace = workspace();
    for command in [
        &STEP[..],
        &["--output", "json", "release", "shop.yaml", "2.0.0"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full");
        let run = end_of(workspace.start(command, full.expect("a full disk"))).ends(2);
        assert!(run.err.contains("nothing was changed"), "{run:?}");
        assert!(run.err.contains("No space left on device"), "{run:?}");
        assert_eq!(workspace.read("shop.yaml"), VALUES);
    }
    workspace.run(&STEP).ends(0);
    let full = fs::File::options().write(true).open("/dev/full");
    let before = workspace.read("shop.yaml");
    let back = workspace.start(&["rollback", "shop.yaml"], full.expect("a full disk"));
    end_of(back).ends(2);
    assert_eq!(workspace.read("shop.yaml"), before);
    assert_eq!(workspace.files(), ["shop.yaml"]);
}

#[test]
fn whoever_has_read_enough_of_the_answer_gets_the_step() {
    let workspace = workspace();
    workspace.run_unread(&STEP).ends(0);
    assert!(workspace.read("shop.yaml").contains("2.0.0"));
}

/// A pipe that is full until somebody reads.
fn clogged() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("a pipe");
    std::thread::spawn(move || filler.write_all(&[0; 1 << 20]));
    (reader, writer)
}

#[test]
fn an_interrupted_step_leaves_the_file_as_it_was_and_none_beside_it() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let workspace = workspace();
        let (mut reader, writer) = clogged();
        // The pipe is full before the tool uses it.
        reader.read_exact(&mut [0]).expect("a byte");
        let step = workspace.start(&STEP, writer);
        let started = Instant::now();
        while workspace.files().len() < 2 {
            assert!(started.elapsed() < Duration::from_secs(60), "no draft");
            std::thread::sleep(Duration::from_millis(5));
        }
        let id = step.id().to_string();
        let signal = Command::new("kill").args(["-s", name, &id]).status();
        assert!(signal.expect("a signal").success());
        let output = step.wait_with_output().expect("the tool ends");
        assert_eq!(output.status.signal(), Some(number), "{output:?}");
        assert_eq!(workspace.files(), ["shop.yaml"]);
        assert_eq!(workspace.read("shop.yaml"), VALUES);
    }
}

#[test]
fn a_file_that_is_mounted_by_itself_is_written_where_it_is_and_that_is_said() {
    let workspace = workspace();
    workspace.write("mounted.yaml", "");
    let step = ["release", "mounted.yaml", "2.0.0"];
    let run = workspace
        .run_after("mount --bind shop.yaml mounted.yaml", &step)
        .ends(0);
    assert!(
        run.err.contains("mounted.yaml was written in place"),
        "{run:?}"
    );
    assert!(workspace.read("shop.yaml").contains("\"2.0.0\""));
    workspace.run(&["check", "shop.yaml"]).ends(0);
    assert_eq!(workspace.read("mounted.yaml"), "");
    assert_eq!(workspace.files().len(), 2, "{:?}", workspace.files());
}

#[test]
fn so_is_one_whose_folder_takes_no_other_file() {
    let workspace = workspace();
    fs::create_dir(workspace.path("image")).expect("a folder");
    workspace.write("image/shop.yaml", "");
    let image = "mount --bind image image; mount -o remount,bind,ro image; mount --bind shop.yaml image/shop.yaml";
    let step = ["release", "image/shop.yaml", "2.0.0"];
    let run = workspace.run_after(image, &step).ends(0);
    assert!(run.err.contains("Read-only file system"), "{run:?}");
    assert!(workspace.read("shop.yaml").contains("\"2.0.0\""));
    let nothing = format!("{image}; mount -o remount,bind,ro image/shop.yaml");
    let before = workspace.read("shop.yaml");
    let run = workspace.run_after(&nothing, &step).ends(2);
    assert!(run.err.contains("cannot write image/shop.yaml"), "{run:?}");
    assert_eq!(workspace.read("shop.yaml"), before);
}

#[test]
fn where_there_is_no_room_for_the_new_text_the_old_one_is_there_again() {
    let workspace = workspace();
    fs::create_dir(workspace.path("disk")).expect("a folder");
    let filled = format!("{VALUES}# {}", "x".repeat(8190 - VALUES.len()));
    workspace
        .write("filled.yaml", &filled)
        .write("shop.yaml", "");
    let twice = "mount -t tmpfs -o size=8k tmpfs disk; cp filled.yaml disk; \
                 mount --bind disk/filled.yaml shop.yaml; \
                 \"$0\" \"$@\" && exit 9; cmp shop.yaml filled.yaml";
    let run = workspace.run_after(twice, &STEP).ends(2);
    assert!(run.err.contains("No space left on device"), "{run:?}");
    assert_eq!(workspace.files().len(), 3, "{:?}", workspace.files());
}

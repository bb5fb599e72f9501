//! What all commands have in common: how they end, and how they answer.

use crate::tool::Workspace;

const WRONG: &str = "releases:\n- version: 1.10\ncurent: \"1.9\"\n";
const RIGHT: &str = "releases:\n- version: \"1.9\"\n";

#[test]
fn a_wrong_configuration_is_a_bad_answer_of_every_command_and_every_problem_is_named() {
    let workspace = Workspace::new();
    workspace
        .write("wrong.yaml", WRONG)
        .write("right.yaml", RIGHT);
    for command in [
        &["check", "wrong.yaml"][..],
        &["diff", "wrong.yaml", "right.yaml"],
        &["diff", "right.yaml", "wrong.yaml"],
        &["explain", "wrong.yaml"],
        &["release", "wrong.yaml", "2.0"],
        &["rollback", "wrong.yaml"],
    ] {
        workspace
            .run(command)
            .ends(1)
            .says("wrong.yaml:2: releases[0].version: 1.10 is a number; write it as a string")
            .says("wrong.yaml:3: curent: unknown key");
        let answer = workspace.json(command);
        let configuration = &answer["configurations"][0];
        assert_eq!(configuration["file"], "wrong.yaml", "{command:?}");
        assert_eq!(configuration["problems"][1]["line"], 2, "{command:?}");
    }
    assert_eq!(workspace.read("wrong.yaml"), WRONG);
}

#[test]
fn a_file_that_cannot_be_read_is_no_answer() {
    let workspace = Workspace::new();
    workspace
        .write("right.yaml", RIGHT)
        .write("broken.yaml", "a: [");
    for file in ["nowhere.yaml", "broken.yaml"] {
        for command in [
            &["check", file][..],
            &["diff", file, "right.yaml"],
            &["explain", file],
            &["release", file, "2.0"],
            &["rollback", file],
        ] {
            let run = workspace.run(command).ends(2);
            assert!(run.err.contains(file), "{run:?}");
        }
    }
}

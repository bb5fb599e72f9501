//! The pieces of code: each is put where the page says, and run.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use skew_guard_lab::http::{self, RawAnswer};
use skew_guard_lab::process::Process;
use skew_guard_lab::{ports, wait};
use tempfile::TempDir;

use crate::{VERSION, adopting, install, run, workshop};

#[test]
fn the_wrapper_compiles_with_every_check_of_typescript() -> Result<()> {
    let place = workshop("typescript", Path::new("tests/adopt/typescript"))?;
    install(&place)?;
    let adopting = adopting()?;
    let client = &adopting.fence("ts")?.text;
    fs::write(
        place.join("client.ts"),
        format!("declare function offerReload(): void;\n{client}"),
    )?;
    run(Command::new("node_modules/.bin/tsc")
        .args([
            "--noEmit",
            "--strict",
            "--target",
            "es2022",
            "--lib",
            "es2022,dom",
            "client.ts",
        ])
        .current_dir(&place))
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_has_404_for_a_missing_file_and_the_page_for_every_other_path() -> Result<()> {
    let site = TempDir::with_prefix("skew-guard-nginx-")?;
    let root = site.path().join("site");
    fs::create_dir_all(root.join("assets"))?;
    fs::write(root.join("index.html"), "the page")?;
    fs::write(root.join("assets/main.js"), "the script")?;
    let address = ports::free()?;
    let (folder, place) = (site.path().display(), root.display());
    let adopting = adopting()?;
    let locations = &adopting.fence("nginx")?.text;
    let configuration = format!(
        "daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\n  types {{ text/html html; text/javascript js; }}\n  access_log off;\n  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n  server {{ listen {address}; root {place};\n{locations}\n  }}\n}}\n"
    );
    let file = site.path().join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-p").arg(site.path());
    command.args(["-g", "master_process off;"]);
    let _nginx = Process::start("nginx", command)?;
    let page = wait::until_some("nginx", async || {
        Ok(http::get(address, "/cart/7", &[]).await.ok())
    })
    .await?;
    assert_eq!((page.status, page.text().as_str()), (200, "the page"));
    assert_eq!(page.values("cache-control"), ["no-cache"]);
    assert_eq!(page.values("x-app-version"), ["1.4.2"]);
    let script = http::get(address, "/assets/main.js", &[]).await?;
    assert_eq!((script.status, cached(&script)), (200, true));
    let missing = http::get(address, "/assets/chunk-4f2a.js", &[]).await?;
    assert_eq!((missing.status, cached(&missing)), (404, false));
    Ok(())
}

fn cached(answer: &RawAnswer) -> bool {
    answer
        .values("cache-control")
        .iter()
        .any(|value| value.contains("immutable"))
}

#[tokio::test(flavor = "multi_thread")]
async fn express_states_the_version_in_every_answer() -> Result<()> {
    let place = workshop("express", Path::new("tests/adopt/express"))?;
    install(&place)?;
    let adopting = adopting()?;
    let line = &adopting.fence("js")?.text;
    let address = ports::free()?;
    let (ip, port) = (address.ip(), address.port());
    fs::write(
        place.join("server.js"),
        format!(
            "const app = require('express')();\n{line}\napp.get('/', (_request, response) => response.send('the shop'));\napp.listen({port}, '{ip}');\n"
        ),
    )?;
    let mut command = Command::new("node");
    command.arg("server.js").current_dir(&place);
    command.env("VERSION", VERSION);
    let _express = Process::start("express", command)?;
    let page = wait::until_some("Express", async || {
        Ok(http::get(address, "/", &[]).await.ok())
    })
    .await?;
    let missing = http::get(address, "/missing", &[]).await?;
    assert_eq!((page.status, missing.status), (200, 404));
    for answer in [page, missing] {
        assert_eq!(answer.values("x-app-version"), [VERSION]);
    }
    Ok(())
}

#[test]
fn spring_has_the_methods_that_allow_the_header_and_state_the_version() -> Result<()> {
    let place = workshop("spring", Path::new("tests/adopt/spring"))?;
    let adopting = adopting()?;
    let lines = &adopting.fence("java")?.text;
    let sources = place.join("src/main/java");
    fs::create_dir_all(&sources)?;
    fs::write(
        sources.join("Headers.java"),
        format!(
            "class Headers {{\n  void set(org.springframework.web.cors.CorsConfiguration configuration, jakarta.servlet.http.HttpServletResponse response, String version) {{\n{lines}\n  }}\n}}\n"
        ),
    )?;
    run(Command::new("mvn")
        .args(["--batch-mode", "--quiet", "compile"])
        .current_dir(&place))?;
    let class = place.join("target/classes/Headers.class");
    ensure!(class.is_file(), "nothing was compiled");
    Ok(())
}

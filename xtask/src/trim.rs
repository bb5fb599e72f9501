//! Removes the callbacks that the filter does not answer from the built module.
//!
//! The SDK exports a function for every callback of Proxy-Wasm, and a host calls each one that it finds
//! ([Proxy-Wasm 0.2.1](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1): all are optional): for
//! every request, several that do nothing. No linker leaves them out, because an export may be called. Without them
//! the module is a tenth smaller, because the code that only they reach goes too, and a request costs less. An
//! untrimmed module behaves in the same way.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use walrus::{Module, passes};

/// The callbacks that stay: what `src/proxy_wasm.rs` answers, and what the SDK needs for its own work. A callback
/// that the filter begins to answer must be named here, or no host will find it.
const ANSWERED: [&str; 9] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// Trims the module in this file; an already trimmed one is left unchanged.
pub fn trim(file: &Path) -> Result<()> {
    trim_in_place(file).with_context(|| format!("trimming {}", file.display()))
}

fn trim_in_place(file: &Path) -> Result<()> {
    let mut module = Module::from_file(file)?;
    for callback in ANSWERED {
        ensure!(exports(&module, callback), "{callback} is not exported");
    }
    let unanswered: Vec<_> = module
        .exports
        .iter()
        .filter(|export| is_unanswered(&export.name))
        .map(|export| export.id())
        .collect();
    if unanswered.is_empty() {
        return Ok(());
    }
    for export in unanswered {
        module.exports.delete(export);
    }
    passes::gc::run(&mut module);
    // Into the same file, not a new one of its name: Cargo keeps a second link to it, and would put that back.
    fs::write(file, module.emit_wasm())?;
    Ok(())
}

fn exports(module: &Module, name: &str) -> bool {
    module.exports.iter().any(|export| export.name == name)
}

fn is_unanswered(name: &str) -> bool {
    name.starts_with("proxy_on_") && !ANSWERED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module that exports these callbacks and its memory; each callback calls a function that nothing else does.
    fn module(callbacks: &[&str]) -> Result<Vec<u8>> {
        let functions: String = callbacks
            .iter()
            .map(|name| format!("(func ${name}) (func (export \"{name}\") call ${name})"))
            .collect();
        let text = format!("(module (memory (export \"memory\") 1) {functions})");
        Ok(wat::parse_str(text)?)
    }

    fn trimmed(module: &[u8]) -> Result<Vec<u8>> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(&file, module)?;
        trim(file.path())?;
        Ok(fs::read(file)?)
    }

    fn shape(module: &[u8]) -> Result<(Vec<String>, usize)> {
        let module = Module::from_buffer(module)?;
        let exports = module.exports.iter().map(|export| export.name.clone());
        Ok((exports.collect(), module.funcs.iter().count()))
    }

    #[test]
    fn what_is_not_answered_goes_and_takes_along_what_only_it_calls() -> Result<()> {
        let more = [&ANSWERED[..], &["proxy_on_log", "proxy_on_done"]].concat();
        let trimmed = trimmed(&module(&more)?)?;
        assert_eq!(shape(&trimmed)?, shape(&module(&ANSWERED)?)?);
        Ok(())
    }

    #[test]
    fn a_trimmed_module_stays_as_it_is() -> Result<()> {
        let module = module(&ANSWERED)?;
        assert_eq!(trimmed(&module)?, module);
        Ok(())
    }

    #[test]
    fn a_module_that_lacks_what_it_should_answer_is_refused() -> Result<()> {
        let error = trimmed(&module(&ANSWERED[1..])?).err();
        let error = error.map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(
            error.ends_with("proxy_on_configure is not exported"),
            "{error}"
        );
        Ok(())
    }
}

//! The command line described for others: completions for a shell, pages for `man`. Both are made from the same words as
//! `--help`.

use super::args::Args;
use anyhow::Context;
use clap::CommandFactory;
use std::{fs, io, path::Path};

pub(super) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Args::command(), "seawall", &mut io::stdout());
}

/// One page a command.
pub(super) fn man(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("cannot write pages into {}", folder.display()))
}

//! `watchpost completions` and `watchpost man`: generated from the command line itself.

use std::{fs, io::Write, path::PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use super::failure::{Failure, Outcome};

pub(super) const COMPLETIONS_EXAMPLES: &str = "For bash, name the file in ~/.bashrc: . ~/.watchpost.bash

Examples:
  watchpost completions bash > ~/.watchpost.bash
  watchpost completions zsh > ~/.zfunc/_watchpost
  watchpost completions fish > ~/.config/fish/completions/watchpost.fish";

#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell that is to complete.
    shell: Shell,
}

#[derive(clap::Args)]
pub(super) struct Man {
    /// The folder that gets one page for each command.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

/// Prints what a shell needs to complete our commands.
pub(super) fn completions(arguments: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "watchpost", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| Failure::of("cannot write the completions", &error))
}

/// Writes a page for each command.
pub(super) fn man(arguments: &Man) -> Outcome {
    let folder = &arguments.output;
    let cannot = |error: std::io::Error| Failure::of(format!("cannot write man pages to {}", folder.display()), &error);
    fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(super::Arguments::command(), folder).map_err(cannot)?;
    println!("{}: one page for each command; read one with `man -l {}`", folder.display(), folder.join("watchpost.1").display());
    Ok(())
}

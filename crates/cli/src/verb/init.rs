//! `cutover init`: writes a commented `cutover.toml` for the project in the current folder.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use cutover_engine::{Error, ErrorKind};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    places::{CONFIG, STATE},
    view::reports::Initialised,
};

mod project;
mod template;

use project::Project;

/// Options of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the app [default: that of package.json, else of the folder]
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// The host visitors use
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    host: String,
    /// The folder with the built site [default: what is there of dist, build, out, public]
    #[arg(long, value_name = "DIR")]
    site: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let config = match &context.global.config {
        Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
        None => std::path::absolute(CONFIG).unwrap_or_else(|_| CONFIG.into()),
    };
    let folder = config.parent().unwrap_or(Path::new("/")).to_owned();
    let mut project = Project::detect(&folder);
    if let Some(app) = &args.app {
        project.app.clone_from(app);
    }
    if let Some(site) = &args.site {
        project.choose_site(&folder, site);
    }
    let text = template::text(&project, &args.host);
    // What is written must be what `up` accepts: a name or folder given here is checked by the same reader.
    crate::up::config::check(&text, &config)?;
    create(&config, &text)?;
    let ignore = ignore(&folder)?;
    context.show(&Initialised {
        config,
        app: project.app.clone(),
        site: project.site.clone(),
        site_found: project.site_found,
        ignore,
    });
    if !project.site_found {
        match &project.build {
            Some(build) => context.say(format_args!("{} is not there yet: {build}", project.site)),
            None => context.say(format_args!("{} is not there yet: build the site first", project.site)),
        }
    }
    context.advise("next", "cutover up");
    Ok(Exit::Done)
}

fn create(file: &Path, text: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().write(true).create_new(true).open(file).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.sync_all()
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::new(
            ErrorKind::Refused,
            "CUT0904",
            format!("{} is there already; nothing was changed", file.display()),
        )
        .hint("edit it, or remove it first")
        .into(),
        _ => Error::new(ErrorKind::Failed, "CUT0905", format!("cannot write {}", file.display()))
            .because(error)
            .into(),
    })
}

/// Keeps the state directory out of version control: extends `.gitignore` where the folder has one or is the top of a
/// work tree.
fn ignore(folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let file = folder.join(".gitignore");
    let present = file.exists();
    if !present && !folder.join(".git").exists() {
        return Ok(None);
    }
    let trouble = |error: std::io::Error| {
        Failure::from(
            Error::new(ErrorKind::Failed, "CUT0905", format!("cannot extend {}", file.display()))
                .because(error),
        )
    };
    let before = if present { std::fs::read_to_string(&file).map_err(trouble)? } else { String::new() };
    if before.lines().any(|line| line.trim().trim_matches('/') == STATE) {
        return Ok(None);
    }
    let line_end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(format!("{line_end}/{STATE}/\n").as_bytes()))
        .map_err(trouble)?;
    Ok(Some(file))
}

//! `cutover explain`: why a request goes where it goes, how a release or a rollout came to be what it is, what an error
//! means.

use std::net::IpAddr;

use cutover_engine::{
    Error, ErrorKind, codes,
    control::{ExplainReport, ExplainRequest, HistoryEntry, RolloutStory},
};

use crate::{
    context::Context,
    failure::{Exit, Failure},
    view::{explain, history::History, rollout::story::Story},
};

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Which release a request gets, and which rule decides that
    Request(RequestArgs),
    /// What a release is, and what happened to it
    Release {
        /// Id, its start, or name
        release: String,
    },
    /// Who did what in a rollout, when, why, and on which facts
    Rollout {
        /// Id of the rollout, or of the release it was for
        #[arg(value_name = "ID|RELEASE")]
        rollout: String,
    },
    /// What an error code means and what to do
    Error {
        /// The code, such as CUT0910
        code: String,
    },
}

#[derive(Debug, clap::Args)]
struct RequestArgs {
    /// Path and query; a whole address is cut to them
    target: String,
    /// A header of the request; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// The method
    #[arg(long, short = 'X', default_value = "GET")]
    method: String,
    /// The visitor's address
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Add the headers of a browser that opens a page
    #[arg(long)]
    navigation: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    match &args.what {
        What::Request(args) => request(context, args)?,
        What::Release { release } => one_release(context, release)?,
        What::Rollout { rollout } => {
            let story: RolloutStory = context.client()?.get(&super::rollout_path(rollout))?;
            context.show(&Story(story));
        }
        What::Error { code } => context.show(&explain::OneCode(find_code(code)?)),
    }
    Ok(Exit::Done)
}

fn request(context: &Context, args: &RequestArgs) -> Result<(), Failure> {
    let mut headers = args.header.clone();
    if args.navigation {
        let browser = [
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
        ];
        headers.extend(browser.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let request = ExplainRequest {
        method: args.method.to_ascii_uppercase(),
        target: path_and_query(&args.target),
        headers,
        client: args.client,
    };
    let report: ExplainReport = context.client()?.post("/v1/explain/request", &request)?;
    context.show(&explain::Request(report));
    Ok(())
}

fn one_release(context: &Context, wanted: &str) -> Result<(), Failure> {
    let client = context.client()?;
    let release = super::find_release(&client, wanted)?;
    let mut history: Vec<HistoryEntry> = client.get("/v1/history?limit=1000")?;
    history.retain(|entry| entry.release == Some(release.id));
    context.show(&explain::OneRelease { release, history: History(history) });
    Ok(())
}

fn find_code(code: &str) -> Result<codes::Code, Failure> {
    codes::explain_error(code).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "CUT0922", format!("no error code `{code}`"))
            .hint("codes look like CUT0910 and stand behind the message of an error")
            .into()
    })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `name: value`")?;
    if name.trim().is_empty() {
        return Err("it has no name".to_owned());
    }
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn path_and_query(target: &str) -> String {
    let rest = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_addresses_are_cut_to_path_and_query() {
        assert_eq!(path_and_query("http://localhost:8080/a?b=c"), "/a?b=c");
        assert_eq!(path_and_query("https://localhost"), "/");
        assert_eq!(path_and_query("a/b"), "/a/b");
    }

    #[test]
    fn headers_are_read_as_other_tools_write_them() {
        assert_eq!(header("Cookie: a=b:c"), Ok(("cookie".to_owned(), "a=b:c".to_owned())));
        assert!(header("cookie").is_err());
        assert!(header(": x").is_err());
    }
}

//! From the app description as written to the one that is meant: checks every value and fills in the defaults.
//!
//! Nothing stops at the first error. A part that has one gives no value; its place has been noted.

mod edge;
mod gate;
mod profile;
mod rollout;
mod routing;
mod service;
mod site;
mod text;

use std::path::{Component, Path, PathBuf};

use super::{
    meant::AppConfig,
    place::{At, Trouble},
    written::File,
};

/// What is retained where nothing is said.
const DEFAULT_KEEP: u32 = 3;

/// Checks the whole description; nothing where trouble was noted.
pub(super) fn file(written: &File, file: &Path, trouble: &mut Trouble<'_>) -> Option<AppConfig> {
    let base = file.parent().unwrap_or(Path::new("/")).to_owned();
    let app = written.app.as_ref().and_then(|app| text::name("app", app, trouble));
    let host = written.host.as_ref().and_then(|host| text::host(host, trouble));
    let keep = written.keep.as_ref().map_or(Some(DEFAULT_KEEP), |keep| u32::try_from(*keep.get()).ok());
    let site = written.site.as_ref().map(|site| site::check(site, &base, trouble));
    let services = service::check(&written.service, &base, trouble);
    let edge = edge::check(&written.edge, &base, trouble);
    let routing = routing::check(&written.routing, !written.edge.trusted_proxies.is_empty(), trouble);
    let outage = rollout::outage(&written.outage, trouble);
    let defaults = profile::defaults(written.rollout.profile.as_ref().map(|profile| *profile.get()));
    let audiences: Vec<&str> = written
        .routing
        .audience
        .iter()
        .filter_map(|audience| audience.get().name.as_ref().map(|name| name.get().as_str()))
        .collect();
    let rollout = rollout::check(&written.rollout, &defaults, &audiences, trouble);
    let around = gate::Around { rollout: rollout.as_ref(), audiences: &audiences, defaults: &defaults };
    let mut gates = gate::check(&written.gate, &around, trouble);
    if let (Some(rollout), Some(gates)) = (&rollout, &mut gates) {
        rollout::add_profile(&written.rollout, rollout, &defaults, gates, trouble);
    }
    Some(AppConfig {
        file: file.to_owned(),
        base,
        app: app?,
        host: host?,
        keep: keep?,
        site: match site {
            Some(site) => Some(site?),
            None => None,
        },
        services: services?,
        routing: routing?,
        edge: edge?,
        outage,
        rollout: rollout?,
        gates: gates?,
    })
}

/// Notes names that occur twice; gives the first place of each doubled one in the message.
fn unique<'n>(what: &str, names: impl Iterator<Item = &'n At<String>>, trouble: &mut Trouble<'_>) {
    let mut seen: Vec<&At<String>> = Vec::new();
    for name in names {
        match seen.iter().find(|other| other.get() == name.get()) {
            Some(first) => {
                let line = trouble.line(&first.span());
                let message = format!("the {what} `{}` exists already, in line {line}", name.get());
                trouble.add("CUT0107", name.span(), message);
            }
            None => seen.push(name),
        }
    }
}

/// Joins a written path to the directory of the description and takes `.` and `..` out, without asking the disk.
fn absolute(base: &Path, written: &str) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(written).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

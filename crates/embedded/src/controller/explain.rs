//! Why a request goes where it goes: the decision itself, run on a description of a request.

use cutover_engine::{
    Error, ErrorKind,
    control::{ExplainReport, ExplainRequest},
};
use cutover_routing::{Action, Request, explain, normalise_path};

use super::{Inner, keys::random_name, unix_secs};

impl Inner {
    pub(super) async fn explain(&self, request: ExplainRequest) -> Result<ExplainReport, Error> {
        let (raw, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = normalise_path(raw).map_err(|error| {
            Error::new(ErrorKind::Invalid, "CUT0511", format!("the edge answers 400 to the path `{raw}`"))
                .because(error)
        })?;
        let headers: Vec<(String, &str)> =
            request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let country = headers.iter().find(|(name, _)| *name == "x-client-country").map(|(_, value)| *value);
        let seen = Request {
            method: if request.method.is_empty() { "GET" } else { &request.method },
            path: &path,
            query,
            headers: headers.as_slice(),
            client: request.client,
            country,
        };
        // What is in force decides; before the first publication that is the table here.
        let (table, settings) = match self.edge.publication() {
            Some(known) => (known.table.clone(), known.settings.clone()),
            None => ((*self.current_table()).clone(), self.settings()),
        };
        let explanation = explain(&seen, &table, &settings, &random_name()?, unix_secs());
        let component = self.component(&explanation.decision.action, &path).await;
        Ok(ExplainReport {
            release: explanation.decision.action.release(),
            reason: explanation.decision.reason.as_str().to_owned(),
            steps: explanation.steps,
            component,
        })
    }

    /// Who answers: the service with the most specific route, else the site; or the edge by itself.
    async fn component(&self, action: &Action, path: &str) -> String {
        if path == "/.cutover" || path.starts_with("/.cutover/") {
            return "built-in".to_owned();
        }
        let release = match action {
            Action::Path { .. } => return "site".to_owned(),
            Action::Serve { release } | Action::Preview { release, .. } => release,
            Action::PreviewEnded { .. } | Action::NotFound | Action::NoRelease => {
                return "built-in".to_owned();
            }
        };
        let Ok(loaded) = self.load(release).await else { return "unknown".to_owned() };
        let routes = loaded.snapshot.services.iter().flat_map(|service| {
            service
                .routes
                .iter()
                .filter(|route| route.matches(path))
                .map(move |route| (route.specificity(), service))
        });
        match routes.max_by_key(|(specificity, _)| *specificity) {
            Some((_, service)) => service.name.clone(),
            None if loaded.site.is_some() => "site".to_owned(),
            None => "built-in".to_owned(),
        }
    }
}

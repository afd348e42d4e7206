//! Progress of a long operation: a spinner with the current step on a terminal, one line a step elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    context::Context,
    view::page::{DIM, paint},
};

/// A template of ours, without its colours where none are wanted.
pub(crate) fn style(template: &str) -> ProgressStyle {
    let template = if coloured() { template.to_owned() } else { plain(template) };
    // One that is not taken would leave the usual form; a test holds all of them to it.
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A text as it may be drawn: the drawing knows nothing of `--no-color` and `NO_COLOR`.
pub(crate) fn drawable(text: String) -> String {
    if coloured() { text } else { anstream::adapter::strip_str(&text).to_string() }
}

fn coloured() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// A template without its styles.
fn plain(template: &str) -> String {
    template.replace(".cyan/dim", "").replace(":.cyan", "")
}

/// Shows steps while it lives.
pub(crate) struct Steps {
    spinner: Option<ProgressBar>,
    quiet: bool,
}

impl Steps {
    /// Begins with the first step.
    pub(crate) fn begin(context: &Context, first: &str) -> Self {
        let spinner = context.draws().then(|| {
            let spinner = ProgressBar::new_spinner();
            spinner.set_style(style("{spinner:.cyan} {wide_msg}"));
            spinner.set_message(first.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        Self { spinner, quiet: context.quiet }
    }

    /// Shows one more step; the steps before stay readable above it.
    pub(crate) fn step(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => {
                spinner.suspend(|| super::say(paint(DIM, format!("  {line}"))));
                spinner.set_message(drawable(line.to_owned()));
            }
            None if !self.quiet => super::say(format_args!("  {line}")),
            None => {}
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_taken_with_and_without_colours() {
        for template in ["{spinner:.cyan} {wide_msg}", "  {bar:28.cyan/dim} {wide_msg}", "  {wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
            let plain = plain(template);
            assert!(ProgressStyle::with_template(&plain).is_ok(), "{plain}");
            assert!(!plain.contains("cyan") && !plain.contains("dim"), "{plain}");
        }
    }
}

//! Progress of a long operation: a spinner with the current step on a terminal, one line a step elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    context::Context,
    view::page::{DIM, paint},
};

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
            if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}") {
                spinner.set_style(style);
            }
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
                spinner.set_message(line.to_owned());
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

//! Every error code with what it means, for `cutover explain error CODE`. A test finds codes that are missing here.

use serde::Serialize;

/// One error code.
#[derive(Debug, Serialize)]
pub(crate) struct Code {
    /// Such as `CUT0910`.
    pub(crate) code: &'static str,
    /// What has happened, in a few words.
    pub(crate) title: &'static str,
    /// What it means and what to do.
    pub(crate) text: &'static str,
}

/// The entry of a code, in any case.
pub(crate) fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|entry| entry.code.eq_ignore_ascii_case(code.trim()))
}

const fn code(code: &'static str, title: &'static str, text: &'static str) -> Code {
    Code { code, title, text }
}

/// All codes, in their order.
pub(crate) const CODES: &[Code] = &[
    code(
        "CUT0900",
        "the command line is wrong",
        "An option or an argument is missing, unknown or misspelt. Nothing was done. `cutover VERB --help` lists them.",
    ),
    code(
        "CUT0901",
        "the current folder cannot be read",
        "The folder this command was started in is gone or forbidden. Change to another one, or give --config.",
    ),
    code(
        "CUT0902",
        "no cutover.toml",
        "The app's description was looked for in the current folder and in all folders above. Write one with\n\
         `cutover init`, or name it with --config.",
    ),
    code(
        "CUT0903",
        "not confirmed",
        "The verb would have destroyed something, asked, and the answer was not yes. Nothing was changed. --yes goes\n\
         on without asking; without a terminal nothing is asked.",
    ),
    code(
        "CUT0904",
        "cutover.toml is there already",
        "`cutover init` never writes over a description. Edit the file, or remove it first.",
    ),
    code(
        "CUT0905",
        "a file of the project cannot be written",
        "`cutover init` could not write cutover.toml or extend .gitignore. The cause says why.",
    ),
    code(
        "CUT0906",
        "cutover.toml cannot be read",
        "The file named by --config, or found, cannot be opened. The cause says why.",
    ),
    code(
        "CUT0910",
        "no cutover up runs",
        "Commands are carried out by `cutover up`, which serves the app in the foreground. None answers for this\n\
         state directory: start it in another terminal, or name the right app with --config or --state.",
    ),
    code(
        "CUT0911",
        "the control token cannot be read",
        "`cutover up` writes a token that only its own user can read. Run commands as the same user.",
    ),
    code(
        "CUT0912",
        "the control token is not accepted",
        "The process that answers at the control address does not know this state directory's token. It may be the\n\
         `cutover up` of another app that took over the address. Start `cutover up` again.",
    ),
    code(
        "CUT0913",
        "the controller cannot be reached",
        "The connection to `cutover up` failed or broke. A command may have been carried out all the same:\n\
         `cutover status` and `cutover history` tell. Every verb can be given again safely.",
    ),
    code(
        "CUT0914",
        "the controller's answer cannot be understood",
        "The process at the control address answers in another form than this version expects. Use the same version of\n\
         cutover for `up` and for its commands.",
    ),
    code(
        "CUT0915",
        "control.json cannot be read",
        "The file in the state directory that says where `cutover up` listens is damaged or forbidden. Starting\n\
         `cutover up` again writes it anew.",
    ),
    code(
        "CUT0916",
        "the state directory cannot be written",
        "`cutover up` keeps its token and its address in the state directory. Check its owner and the free space.",
    ),
    code("CUT0917", "no random numbers", "The machine gave no random bytes for the control token."),
    code(
        "CUT0920",
        "no such release",
        "No release has this id, a name like this, or an id that begins like this. `cutover releases` lists them all.",
    ),
    code(
        "CUT0921",
        "more than one release is meant",
        "Several ids begin like this, or several releases carry this name. Give more of the id.",
    ),
    code(
        "CUT0922",
        "no such error code",
        "Codes look like CUT0910 and stand behind the message of an error.",
    ),
    code(
        "CUT0930",
        "an address is taken",
        "Another process listens where `cutover up` is to listen. Stop it, or choose another address with --listen or\n\
         --control, or in the [edge] section. Port 0 takes any free one.",
    ),
    code(
        "CUT0931",
        "the edge cannot start",
        "Something `cutover up` needs to serve visitors is missing or wrong: its address, its certificate files or its\n\
         threads. The cause says which. Nothing was started.",
    ),
    code(
        "CUT0932",
        "the control API cannot start",
        "The control address could not be opened. The cause says why.",
    ),
    code(
        "CUT0940",
        "the demo cannot go on",
        "A step of the demo did not work. The cause says which; the demo's files are in a temporary folder that is\n\
         removed when it ends.",
    ),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    /// Every code any crate of the workspace can answer with.
    fn used(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                used(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let codes = text.split("\"CUT").skip(1).filter_map(|rest| rest.get(..5));
                found.extend(
                    codes
                        .filter(|rest| rest.ends_with('"') && rest[..4].bytes().all(|b| b.is_ascii_digit()))
                        .map(|rest| format!("CUT{}", &rest[..4])),
                );
            }
        }
    }

    #[test]
    fn every_code_in_use_is_explained_and_in_order() {
        let mut found = BTreeSet::new();
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in ["cli", "embedded", "engine", "server"] {
            used(&crates.join(name).join("src"), &mut found);
        }
        assert!(found.len() > 10, "{found:?}");
        // Made up by tests of how errors look.
        for example in ["CUT0001"] {
            found.remove(example);
        }
        let missing: Vec<&String> = found.iter().filter(|code| find(code).is_none()).collect();
        assert!(missing.is_empty(), "not explained: {missing:?}");
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code), "not in order");
    }
}

//! The digest of a plan: FNV-1a of 128 bits over its parts.
//!
//! It guards against mistakes (a plan edited in the journal, records of one rollout beside the plan of another), not
//! against somebody who can write the journal: such a one can write anything. The text it is taken over is spelled out
//! here and never changes for a given version of the form, so that journals outlive versions of this crate.

use std::fmt::{self, Write};

use super::{Act, Change, Does, Insufficient, Plan, Stage, Step, Watched};
use crate::To;

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// Of everything but the digest itself.
pub(super) fn of(plan: &Plan) -> String {
    let mut hash = Fnv(OFFSET);
    // Writing into a hash cannot fail.
    let _ = write_plan(&mut hash, plan);
    format!("{:032x}", hash.0)
}

struct Fnv(u128);

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(PRIME);
        }
        Ok(())
    }
}

fn write_plan(out: &mut Fnv, plan: &Plan) -> fmt::Result {
    write!(out, "plan {} {} ", plan.version, plan.rollout)?;
    match plan.blue {
        Some(blue) => write!(out, "{blue}")?,
        None => out.write_str("-")?,
    }
    writeln!(out, " {} {} {} {}", plan.green, plan.quiet.0, plan.drain_at_most.0, plan.pace.0)?;
    plan.steps.iter().try_for_each(|step| write_step(out, step))
}

fn write_step(out: &mut Fnv, step: &Step) -> fmt::Result {
    out.write_str(step.stage.word())?;
    if let Stage::Shift { number, of, to } = &step.stage {
        write!(out, " {number} {of} ")?;
        match to {
            To::Audience(name) => write!(out, "audience {name:?}")?,
            To::Share(width) => write!(out, "share {width}")?,
        }
    }
    out.write_str(": ")?;
    match &step.does {
        Does::Act(act) => write_act(out, act)?,
        Does::Converge => out.write_str("converge")?,
        Does::Hold { length, watch } => {
            write!(out, "hold {}", length.0)?;
            watch.iter().try_for_each(|gate| write_gate(out, gate))?;
        }
        Does::Quiet { release, closed } => write!(out, "quiet {release} {closed}")?,
    }
    out.write_str("\n")
}

fn write_gate(out: &mut Fnv, gate: &Watched) -> fmt::Result {
    write!(out, " gate {:?} {} ", gate.gate, gate.required)?;
    match gate.insufficient {
        Insufficient::Ask => out.write_str("ask"),
        Insufficient::Extend(by) => write!(out, "extend {}", by.0),
        Insufficient::Hold => out.write_str("hold"),
    }
}

fn write_act(out: &mut Fnv, act: &Act) -> fmt::Result {
    match act {
        Act::Prepare { release } => write!(out, "prepare {release}"),
        Act::Gate(gate) => write_gate(out, gate),
        Act::Route(Change::Candidate { release }) => write!(out, "candidate {release}"),
        Act::Route(Change::Audience { name, release }) => write!(out, "audience {name:?} {release}"),
        Act::Route(Change::Share { release, width }) => write!(out, "share {release} {width}"),
        Act::Route(Change::Promote { release }) => write!(out, "promote {release}"),
        Act::Route(Change::Rollback { to, close }) => write!(out, "rollback {to} {close}"),
        Act::Route(Change::Close { release }) => write!(out, "close {release}"),
        Act::Standby { release } => write!(out, "standby {release}"),
        Act::Park { release } => write!(out, "park {release}"),
        Act::Retire { release } => write!(out, "retire {release}"),
    }
}

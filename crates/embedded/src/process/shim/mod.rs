//! The process between Cutover and a command: it starts the command, keeps its log, and sees to its end.
//!
//! What it promises: when its standard input ends, because Cutover stopped, crashed or was killed, everything the
//! command started is gone after the command's stop timeout at the latest. It is a *child subreaper* (prctl(2)), so
//! processes that detached themselves come back to it as children, and "I have no child any more" means that nothing
//! is left. Should the shim itself be killed, the kernel kills the command (parent-death signal), and Cutover finds the
//! rest by the marker in its environment.
//!
//! The dialogue: one JSON [`Order`] line and then commands come in on standard input, [`Report`] lines go out on
//! standard output. It runs no async code and holds no lock: it is the part that has to work when all else failed.

mod ending;

use std::{
    io::{self, BufRead, PipeReader, Read, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getppid, setsid},
};

use super::{
    command::{Ended, Order, Report},
    log::LogFile,
    procfs,
    record::{Named, Record},
};
use ending::Ending;

/// First argument of the second stage, which becomes the command.
const BECOME: &str = "become";

/// Bytes of log that are copied at once.
const CHUNK: usize = 16 << 10;

/// How long a command's helpers may take to end after the command itself ended unasked.
const HELPERS_GRACE: Duration = Duration::from_secs(2);

/// What wakes the shim.
enum Event {
    /// End everything within this time.
    Stop(Duration),
    /// Whoever started the shim is gone, or a signal asks it to end.
    Abandoned,
    /// A child ended.
    Child,
    /// Nobody can write to the log any more.
    LogClosed,
}

/// The hidden `shim` subcommand of the program; `args` are what follows that word.
///
/// Not for people: it speaks with the [`Supervisor`](super::Supervisor) over its standard input and output.
pub fn shim_main(args: Vec<String>) -> ExitCode {
    match args.split_first() {
        Some((stage, rest)) if stage == BECOME => become_command(rest),
        _ => match watch() {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                report(&Report::Failed { problem });
                ExitCode::FAILURE
            }
        },
    }
}

/// Second stage, in a process of its own: turns into the command, bound to the life of the shim.
///
/// It exists because both settings have to be made between fork and exec, which only `unsafe` code could do in place.
fn become_command(args: &[String]) -> ExitCode {
    let [shim, run] = args else { return ExitCode::from(126) };
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // The shim may have ended before the line above took effect.
    if shim.parse() != Ok(getppid().as_raw()) {
        return ExitCode::from(126);
    }
    let _ = SigSet::empty().thread_set_mask();
    let error = Command::new("/bin/sh").arg("-c").arg(run).exec();
    // Standard error is the command's log.
    let _ = writeln!(io::stderr(), "cannot run /bin/sh: {error}");
    ExitCode::from(127)
}

fn watch() -> Result<(), String> {
    let mut line = String::new();
    let read =
        io::stdin().lock().read_line(&mut line).map_err(|error| format!("cannot read the order: {error}"))?;
    if read == 0 {
        return Ok(()); // the other side is gone before anything began
    }
    let order: Order =
        serde_json::from_str(&line).map_err(|error| format!("cannot read the order: {error}"))?;

    // A session of its own: a Ctrl-C on the terminal reaches Cutover alone, which then stops services in order.
    let _ = setsid();
    prctl::set_child_subreaper(true).map_err(|error| format!("cannot become a child subreaper: {error}"))?;
    let signals =
        [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect::<SigSet>();
    signals.thread_block().map_err(|error| format!("cannot block signals: {error}"))?;

    let mut log = LogFile::open(&order.log, order.log_limit)
        .map_err(|error| format!("cannot open the log {}: {error}", order.log.display()))?;
    let mut record = Record {
        label: order.label.clone(),
        boot: procfs::boot_id(),
        instance: order.instance.clone(),
        shim: Named::of(nix::unistd::getpid().as_raw()).ok_or("cannot read /proc/self/stat")?,
        leader: None,
    };
    save(&record, order.record.as_deref())?;

    let (leader, output) = spawn(&order)?;
    record.leader = Named::of(leader);
    log.note(&format!("started {} as pid {leader}{}", order.label, order.note));
    report(&Report::Started { pid: leader });
    let saved = save(&record, order.record.as_deref());

    let (events, inbox) = mpsc::channel();
    wait_for_signals(signals, events.clone());
    listen(events.clone());
    let pump = copy_output(output, log, events);
    let stop = Duration::from_millis(order.stop_ms);
    let mut ending = Ending::new(leader);
    // Without a record a later run could not find this one: better not to run at all.
    if saved.is_err() {
        ending.begin(Duration::ZERO);
    }

    let mut log_open = true;
    loop {
        let left = reap(leader, |ended| {
            report(&Report::Ended { how: ended });
            ending.begin(stop.min(HELPERS_GRACE));
        });
        if !left || ending.hopeless() {
            break;
        }
        match inbox.recv_timeout(ending.tend()) {
            Ok(Event::Stop(grace)) => ending.begin(grace),
            Ok(Event::Abandoned) => ending.begin(stop),
            Ok(Event::LogClosed) => log_open = false,
            Ok(Event::Child) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => ending.begin(stop),
        }
    }
    let left = ending.left();
    // What the command wrote last is still in the pipe; a process that could not be ended may hold it open for ever.
    while log_open && left.is_empty() {
        match inbox.recv_timeout(Duration::from_secs(1)) {
            Ok(Event::LogClosed) | Err(_) => log_open = false,
            Ok(_) => {}
        }
    }
    if left.is_empty() {
        let _ = pump.join();
        if let Some(path) = &order.record {
            let _ = std::fs::remove_file(path);
        }
    }
    report(&Report::Done { left });
    saved
}

fn save(record: &Record, path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    record.write(path).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Starts the second stage in a process group of its own; both its outputs come back through one pipe, in order.
fn spawn(order: &Order) -> Result<(i32, PipeReader), String> {
    let attempt = || -> io::Result<(i32, PipeReader)> {
        let (output, input) = io::pipe()?;
        let child = Command::new("/proc/self/exe")
            .arg0("cutover")
            .args(["shim", BECOME, &std::process::id().to_string(), &order.run])
            .current_dir(&order.dir)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .spawn()?;
        Ok((i32::try_from(child.id()).map_err(io::Error::other)?, output))
    };
    attempt().map_err(|error| format!("cannot start a process in {}: {error}", order.dir.display()))
}

/// Signals are taken by one thread; all others, made after the mask was set, have them blocked.
fn wait_for_signals(signals: SigSet, events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match signals.wait() {
                Ok(Signal::SIGCHLD) => Event::Child,
                Ok(_) => Event::Abandoned,
                Err(_) => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    });
}

/// Commands from the other side; the end of the stream is the other side's end.
fn listen(events: Sender<Event>) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if let Some(Ok(millis)) = line.strip_prefix("stop ").map(str::parse)
                && events.send(Event::Stop(Duration::from_millis(millis))).is_err()
            {
                return;
            }
        }
        let _ = events.send(Event::Abandoned);
    });
}

/// Copies what the command writes into its log. A log that cannot be written loses text; it never blocks the command.
fn copy_output(mut output: PipeReader, mut log: LogFile, events: Sender<Event>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        let mut lost = 0_usize;
        loop {
            match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    let chunk = buffer.get(..len).unwrap_or_default();
                    if log.write(chunk).is_err() {
                        lost += len;
                    } else if lost > 0 {
                        log.note(&format!("{lost} bytes before this could not be written"));
                        lost = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let _ = events.send(Event::LogClosed);
    })
}

/// Takes leave of every ended child; false when there is no child left. `ended` is told when the command was among them.
fn reap(leader: i32, mut ended: impl FnMut(Ended)) -> bool {
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == leader => ended(Ended::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == leader => {
                ended(Ended::Signal(signal as i32))
            }
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Tells the other side; nobody may be there any more.
fn report(report: &Report) {
    let Ok(mut line) = serde_json::to_vec(report) else { return };
    line.push(b'\n');
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}

//! Processes: those that are measured, and what the kernel says of them.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The kernel counts processor time for programs in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);
/// A receiver that does not listen by then has failed.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// A receiver that listens; it is killed when the value is dropped.
pub struct Receiver {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Receiver {
    /// Starts `command`, which listens on `address`, and waits until it does. What it says goes to `log`.
    pub fn start(mut command: Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut receiver = Self { child, address };
        let deadline = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(address).is_err() {
            if receiver.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the receiver did not start: {}", fs::read_to_string(log).unwrap_or_default());
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(receiver)
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(stat(self.child.id())?.own)
    }

    /// The most memory that it had resident so far, in MiB.
    pub fn peak_memory(&self) -> Result<f64> {
        memory(self.child.id(), "VmHWM:")
    }

    /// The memory that it has resident now, in MiB.
    pub fn memory(&self) -> Result<f64> {
        memory(self.child.id(), "VmRSS:")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on this machine where nobody listens.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?.local_addr()?)
}

struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that have ended.
    ended: Duration,
}

fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading /proc: only Linux has it")?;
    // The name before the parenthesis may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u32>().ok()).context("an odd /proc/…/stat");
    Ok(Stat { parent: ticks(1)?, own: TICK * (ticks(11)? + ticks(12)?), ended: TICK * (ticks(13)? + ticks(14)?) })
}

/// The processor time of this process.
pub fn own_cpu() -> Result<Duration> {
    Ok(stat(std::process::id())?.own)
}

/// The processor time of a process and its children, those that have ended included.
pub fn family_cpu(parent: u32) -> Result<Duration> {
    let first = stat(parent)?;
    let mut total = first.own + first.ended;
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // A process may end while the list is read; its parent then has its time.
        total +=
            pid.and_then(|pid| stat(pid).ok()).filter(|stat| stat.parent == parent).map_or(Duration::ZERO, |s| s.own);
    }
    Ok(total)
}

/// The processor time of a process's first thread, or of any thread, by its directory in `/proc`: by the scheduler's own
/// clock, in nanoseconds.
pub fn scheduled(directory: impl AsRef<Path>) -> Result<Duration> {
    let text = fs::read_to_string(directory.as_ref().join("schedstat")).context("reading /proc: only Linux has it")?;
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok()).context("an odd schedstat")?;
    Ok(Duration::from_nanos(nanos))
}

fn memory(pid: u32, key: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("reading /proc")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context("an odd /proc/…/status")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().context("an odd /proc/…/status")?;
    Ok(kib / 1024.0)
}

//! A receiver in a process of its own, whose memory, processor time and sockets can be looked at.

use super::postgres::TestDb;
use super::server::variables;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: String,
    log: Arc<Mutex<Vec<String>>>,
    _mail: tempfile::TempDir,
}

impl Process {
    pub fn start(db: &TestDb, more: &[(&str, &str)]) -> Self {
        let mail = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringup"));
        command.arg("serve").envs(variables(&db.url(), mail.path().to_str().unwrap()));
        command.env("RUST_LOG", "info").envs(more.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("listening on http://")).expect("the receiver starts");
        let address = listening.split("http://").nth(1).unwrap().split(';').next().unwrap().to_owned();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        // A full pipe would stop the process.
        std::thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        Self { child, address, log, _mail: mail }
    }

    /// What it has logged since it listens.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a line of its log contains `text`. Returns false if it ends or says nothing for long.
    pub fn says(&self, text: &str) -> bool {
        let begun = std::time::Instant::now();
        while !self.log().iter().any(|line| line.contains(text)) {
            if begun.elapsed() > Duration::from_secs(20) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Processor time that it has used, of user and system together.
    pub fn processor(&self) -> Duration {
        // The second field is a name in parentheses; times are the 14th and 15th, in hundredths of a second.
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory that it holds, in bytes.
    pub fn memory(&self) -> usize {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    /// Clients whose connection it holds.
    pub fn clients(&self) -> usize {
        let port: u16 = self.address.rsplit_once(':').unwrap().1.parse().unwrap();
        let own = format!(":{port:04X}");
        let table = self.proc("net/tcp");
        let sockets = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        // Established, or half closed by the client; one that the process has closed belongs to nobody (inode 0).
        let held =
            |socket: &Vec<&str>| socket[1].ends_with(&own) && ["01", "08"].contains(&socket[3]) && socket[9] != "0";
        sockets.filter(held).count()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

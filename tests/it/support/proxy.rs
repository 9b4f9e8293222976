//! A network between the receiver and Postgres that can be told to fail: it forgets connections, stalls, or cuts them.
//!
//! Each direction of a connection has a thread of its own. Where the network has swallowed a connection, that stays so: what
//! either side sends vanishes, and neither hears of the other's end. New connections work once the network is back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::net::{Shutdown, shutdown};

/// What Postgres notices of a connection that the network swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Nothing: it goes on waiting for its client.
    Kept,
    /// The connection's end.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// What is sent waits.
    Stalled,
    Swallowing(Backend),
}

/// The network. Its connections end with it.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    server: u16,
    flow: Mutex<Flow>,
    changed: Condvar,
    links: Mutex<Vec<Arc<Link>>>,
    /// Connections whose client has not closed them.
    open: AtomicUsize,
}

struct Link {
    client: Stream,
    server: Option<Stream>,
    is_swallowed: AtomicBool,
}

/// A TCP or a Unix socket.
struct Stream(std::fs::File);

impl Stream {
    fn of(socket: impl Into<OwnedFd>) -> Self {
        Self(std::fs::File::from(socket.into()))
    }

    fn end(&self) {
        let _ = shutdown(self.0.as_fd(), Shutdown::Both);
    }
}

impl Proxy {
    /// The way to Postgres on that port, and the port at which it begins.
    pub fn start(server: u16) -> (Self, u16) {
        let (listener, proxy) = (TcpListener::bind("127.0.0.1:0").unwrap(), Self::to(server));
        let (port, own) = (listener.local_addr().unwrap().port(), proxy.clone());
        thread::spawn(move || listener.incoming().for_each(|client| own.accept(Stream::of(client.unwrap()))));
        (proxy, port)
    }

    /// The same, beginning at a Unix socket, which libpq finds in `folder` under the port 5432.
    pub fn start_at(folder: &Path, server: u16) -> Self {
        let (listener, proxy) = (UnixListener::bind(folder.join(".s.PGSQL.5432")).unwrap(), Self::to(server));
        let own = proxy.clone();
        thread::spawn(move || listener.incoming().for_each(|client| own.accept(Stream::of(client.unwrap()))));
        proxy
    }

    fn to(server: u16) -> Self {
        let (flow, changed) = (Mutex::new(Flow::Open), Condvar::new());
        Self(Arc::new(Shared { server, flow, changed, links: Mutex::default(), open: AtomicUsize::new(0) }))
    }

    /// Forgets all connections, and each new one, until [`Proxy::restore`].
    pub fn swallow(&self, backend: Backend) {
        self.set(Flow::Swallowing(backend));
        for link in &*self.0.links.lock().unwrap() {
            link.is_swallowed.store(true, Ordering::SeqCst);
            if let Some(server) = link.server.as_ref().filter(|_| backend == Backend::Closed) {
                server.end();
            }
        }
    }

    /// Holds back what is sent until [`Proxy::restore`].
    pub fn stall(&self) {
        self.set(Flow::Stalled);
    }

    /// Works again.
    pub fn restore(&self) {
        self.set(Flow::Open);
    }

    /// Ends all connections, on both sides.
    pub fn cut(&self) {
        for link in &*self.0.links.lock().unwrap() {
            link.client.end();
            link.server.iter().for_each(Stream::end);
        }
    }

    /// How many connections the clients hold open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    fn set(&self, flow: Flow) {
        *self.0.flow.lock().unwrap() = flow;
        self.0.changed.notify_all();
    }

    fn accept(&self, client: Stream) {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        let is_swallowed = matches!(*self.0.flow.lock().unwrap(), Flow::Swallowing(_));
        let server = (!is_swallowed).then(|| TcpStream::connect(("127.0.0.1", self.0.server)).map(Stream::of));
        let server = server.and_then(Result::ok);
        let link = Arc::new(Link { client, server, is_swallowed: AtomicBool::new(is_swallowed) });
        self.0.links.lock().unwrap().push(Arc::clone(&link));
        let (shared, there) = (Arc::clone(&self.0), Arc::clone(&link));
        thread::spawn(move || {
            shared.carry(&there, &there.client, there.server.as_ref());
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
        if link.server.is_some() {
            let shared = Arc::clone(&self.0);
            thread::spawn(move || {
                link.server.iter().for_each(|server| shared.carry(&link, server, Some(&link.client)));
            });
        }
    }
}

impl Shared {
    /// Carries what comes `from` one side to the other, until one ends.
    fn carry(&self, link: &Link, from: &Stream, to: Option<&Stream>) {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let read = (&from.0).read(&mut bytes).unwrap_or(0);
            let flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.changed.wait_while(flow, |flow| *flow == Flow::Stalled));
            let to = to.filter(|_| !link.is_swallowed.load(Ordering::SeqCst));
            if read == 0 {
                to.inspect(|to| to.end());
                return;
            }
            let is_lost = to.is_some_and(|to| (&to.0).write_all(&bytes[..read]).is_err());
            if is_lost {
                from.end();
            }
        }
    }
}

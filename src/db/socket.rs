//! Closing a connection's socket from outside, so that whoever waits for it inside libpq gets an error.
//!
//! diesel does not show its socket. It is found among the process' sockets by what only this one has: a TCP socket by its
//! `TCP_USER_TIMEOUT`, which each connection sets to another value; a Unix socket by its inode.
//!
//! `shutdown` acts on a duplicate of our own: the number may be another file's before we use it. A duplicate is made by
//! sending the number through a pair of sockets, which needs no privilege (containers mostly forbid `pidfd_getfd`).

/// What tells a connection's socket from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Traits {
    /// Its `TCP_USER_TIMEOUT`, in milliseconds, or its inode. The latter is known of Unix sockets alone.
    Known { user_timeout: u32, inode: Option<u64> },
    /// The same, before it is known whether it is a Unix socket: any to Postgres that is not one of these.
    Unknown { user_timeout: u32, others: Vec<u64> },
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Traits;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, Shutdown, SocketAddrUnix};
    use rustix::net::{getpeername, recvmsg, shutdown, sockopt::tcp_user_timeout};
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixStream;

    impl Traits {
        fn fit(&self, socket: &OwnedFd, inode: u64) -> bool {
            let is_marked = |wanted: u32| tcp_user_timeout(socket).is_ok_and(|found| found == wanted);
            match self {
                Self::Known { user_timeout, inode: Some(known) } => inode == *known || is_marked(*user_timeout),
                Self::Known { user_timeout, inode: None } => is_marked(*user_timeout),
                Self::Unknown { user_timeout, others } => {
                    is_marked(*user_timeout) || (!others.contains(&inode) && leads_to_postgres(socket))
                }
            }
        }
    }

    /// Closes each socket of this process that has `traits`; returns how many there are.
    ///
    /// # Errors
    /// The system's, where the process' files cannot be looked through.
    pub fn close(traits: &Traits) -> io::Result<usize> {
        let mut closed = 0;
        for (number, inode) in sockets()? {
            // Another thread may have closed it meanwhile.
            let Ok(socket) = duplicate(number) else { continue };
            if rustix::fs::fstat(&socket).is_ok_and(|stat| stat.st_ino == inode) && traits.fit(&socket, inode) {
                // One that is not connected yet says so, and stops connecting all the same.
                let _ = shutdown(&socket, Shutdown::Both);
                closed += 1;
            }
        }
        Ok(closed)
    }

    /// The inodes of this process' Unix sockets to Postgres.
    pub fn local() -> Vec<u64> {
        let sockets = sockets().unwrap_or_default().into_iter();
        let to_postgres =
            sockets.filter(|(number, _)| duplicate(*number).is_ok_and(|socket| leads_to_postgres(&socket)));
        to_postgres.map(|(_, inode)| inode).collect()
    }

    /// Number and inode of each socket.
    fn sockets() -> io::Result<Vec<(RawFd, u64)>> {
        let files = std::fs::read_dir("/proc/self/fd")?.flatten();
        let sockets = files.filter_map(|file| {
            let target = std::fs::read_link(file.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            Some((file.file_name().to_str()?.parse().ok()?, inode))
        });
        Ok(sockets.collect())
    }

    fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
        let (here, there) = UnixStream::pair()?;
        let (numbers, byte) = ([number], [0]);
        let sent = [ControlMessage::ScmRights(&numbers)];
        sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(&byte)], &sent, MsgFlags::empty(), None)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut received = RecvAncillaryBuffer::new(&mut space);
        recvmsg(there.as_fd(), &mut [IoSliceMut::new(&mut [0])], &mut received, RecvFlags::CMSG_CLOEXEC)?;
        let file = received.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        file.ok_or_else(|| io::Error::other("a file that was sent did not come"))
    }

    fn leads_to_postgres(socket: &OwnedFd) -> bool {
        let Ok(Some(peer)) = getpeername(socket) else { return false };
        let Ok(peer) = SocketAddrUnix::try_from(peer) else { return false };
        let path = peer.path_bytes().or(peer.abstract_name()).unwrap_or_default();
        String::from_utf8_lossy(path).contains("/.s.PGSQL.")
    }

    #[cfg(test)]
    mod tests {
        #![allow(clippy::unwrap_used)]
        use super::*;
        use rustix::net::sockopt::set_tcp_user_timeout;
        use std::io::Read;
        use std::net::{TcpListener, TcpStream};
        use std::os::unix::net::UnixListener;

        #[test]
        fn the_marked_socket_is_closed_and_no_other() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let connect = |timeout: u32| {
                let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                set_tcp_user_timeout(&socket, timeout).unwrap();
                socket
            };
            let (mut meant, other) = (connect(54_321), connect(54_322));
            assert_eq!(close(&Traits::Known { user_timeout: 54_321, inode: None }).unwrap(), 1);
            assert_eq!(meant.read(&mut [0]).unwrap(), 0, "it has come to its end");
            other.set_nonblocking(true).unwrap();
            assert_eq!((&other).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }

        #[test]
        fn a_unix_socket_is_told_by_its_inode_or_by_being_none_of_the_others() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(".s.PGSQL.5432");
            let _listener = UnixListener::bind(&path).unwrap();
            let connect = || UnixStream::connect(&path).unwrap();
            let inode = |socket: &UnixStream| rustix::fs::fstat(socket).unwrap().st_ino;
            let (mut first, mut second, third) = (connect(), connect(), connect());
            assert!(local().contains(&inode(&first)));
            assert_eq!(close(&Traits::Known { user_timeout: 1, inode: Some(inode(&first)) }).unwrap(), 1);
            assert_eq!(first.read(&mut [0]).unwrap(), 0);
            let others = vec![inode(&first), inode(&third)];
            assert_eq!(close(&Traits::Unknown { user_timeout: 1, others }).unwrap(), 1);
            assert_eq!(second.read(&mut [0]).unwrap(), 0);
            third.set_nonblocking(true).unwrap();
            assert_eq!((&third).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{close, local};

/// Elsewhere nothing is found: a call that hangs ends when libpq's own time-outs end it.
#[cfg(not(target_os = "linux"))]
pub(super) fn close(_: &Traits) -> std::io::Result<usize> {
    Ok(0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn local() -> Vec<u64> {
    Vec::new()
}

//! Addresses of interfaces by netlink (rtnetlink(7)): one request, one answer.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, sendto,
    socket_with,
};

use super::FloatingAddress;

/// `RTM_NEWADDR` and `RTM_DELADDR` of `linux/rtnetlink.h`.
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
/// `NLMSG_ERROR`: also the type of an answer that says that all is well.
const ANSWER: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_ACK`, and `NLM_F_CREATE | NLM_F_REPLACE`.
const REQUEST: u16 = 0x01 | 0x04;
const CREATE: u16 = 0x400 | 0x100;
/// `AF_INET`, `IFA_ADDRESS`, `IFA_LOCAL`.
const INET: u8 = 2;
const ATTRIBUTE_ADDRESS: u16 = 1;
const ATTRIBUTE_LOCAL: u16 = 2;
/// Bytes of the whole request: header 16, address 8, two attributes of 8.
const REQUEST_BYTES: u32 = 40;
/// `EADDRNOTAVAIL` and `EEXIST`: what was asked for is so already.
const NOT_THERE: i32 = 99;
const IS_THERE: i32 = 17;

/// What is to be done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

pub(super) fn open() -> io::Result<OwnedFd> {
    // The protocol that is named by nothing is `NETLINK_ROUTE`.
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// The number of an interface.
pub(super) fn index(socket: &OwnedFd, device: &str) -> io::Result<u32> {
    Ok(netdevice::name_to_index(socket, device)?)
}

/// Changes an address and waits for the answer.
pub(super) fn change(
    socket: &OwnedFd,
    change: Change,
    index: u32,
    address: FloatingAddress,
) -> io::Result<()> {
    let request = request(change, index, address);
    sendto(socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 1024];
    let (_, length) = recv(socket, &mut answer[..], RecvFlags::empty())?;
    let done = match change {
        Change::Add => IS_THERE,
        Change::Remove => NOT_THERE,
    };
    match read_answer(answer.get(..length).unwrap_or_default()) {
        Some(0) => Ok(()),
        Some(code) if code == done => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code)),
        None => Err(io::Error::other("the kernel's answer cannot be understood")),
    }
}

fn request(change: Change, index: u32, address: FloatingAddress) -> Vec<u8> {
    let (kind, flags) = match change {
        Change::Add => (NEW_ADDRESS, REQUEST | CREATE),
        Change::Remove => (DELETE_ADDRESS, REQUEST),
    };
    let mut bytes = Vec::new();
    bytes.extend(REQUEST_BYTES.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence and sender: the socket carries this one request.
    bytes.extend(1_u32.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    // Family, length of the network, flags, scope (the whole world).
    bytes.extend([INET, address.prefix, 0, 0]);
    bytes.extend(index.to_ne_bytes());
    for attribute in [ATTRIBUTE_LOCAL, ATTRIBUTE_ADDRESS] {
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(attribute.to_ne_bytes());
        bytes.extend(address.address.octets());
    }
    bytes
}

/// The error's number in an answer, 0 if there is none.
fn read_answer(bytes: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(bytes.get(16..20)?.try_into().ok()?);
    (kind == ANSWER).then_some(code.checked_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let address = "192.0.2.7/24".parse().unwrap();
        for change in [Change::Add, Change::Remove] {
            assert_eq!(request(change, 3, address).len(), REQUEST_BYTES as usize);
        }
    }

    #[test]
    fn an_answer_that_is_cut_is_none() {
        let mut answer = vec![0; 20];
        answer[4..6].copy_from_slice(&ANSWER.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(read_answer(&answer), Some(1));
        assert_eq!(read_answer(&answer[..19]), None);
        assert_eq!(read_answer(&[0; 20]), None);
    }
}

//! A gratuitous ARP (RFC 5227, section 3): tells neighbours and switches where an address is now.

use std::io;
use std::net::Ipv4Addr;

use pnet_datalink::{Channel, Config, MacAddr, NetworkInterface};

const BROADCAST: MacAddr = MacAddr(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
/// EtherTypes of ARP and IPv4.
const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
/// Ethernet; lengths of its addresses and of IPv4's.
const ETHERNET: [u8; 2] = [0, 1];
const LENGTHS: [u8; 2] = [6, 4];

/// Sends one announcement as a request and one as a reply: some listen to this, some to that.
pub(super) fn announce(address: Ipv4Addr, device: &str) -> io::Result<()> {
    let missing = || io::Error::other(format!("no interface {device}"));
    let interfaces = pnet_datalink::interfaces();
    let found: NetworkInterface =
        interfaces.into_iter().find(|one| one.name == device).ok_or_else(missing)?;
    // An interface without a hardware address, such as the loopback, has no neighbours to tell.
    let Some(mac) = found.mac.filter(|mac| *mac != MacAddr::zero()) else { return Ok(()) };
    let config = Config { promiscuous: false, ..Config::default() };
    let Channel::Ethernet(mut sender, _) = pnet_datalink::channel(&found, config)? else {
        return Err(io::Error::other(format!("{device} is no Ethernet")));
    };
    for operation in [1, 2] {
        let packet = packet(mac, address, operation);
        sender.send_to(&packet, None).unwrap_or_else(|| Err(io::Error::other("not sent")))?;
    }
    Ok(())
}

/// An Ethernet frame with an announcement; 1 is a request, 2 a reply.
fn packet(mac: MacAddr, address: Ipv4Addr, operation: u8) -> Vec<u8> {
    let mac = mac.octets();
    let mut bytes = Vec::new();
    bytes.extend(BROADCAST.octets());
    bytes.extend(mac);
    bytes.extend(ARP);
    bytes.extend(ETHERNET);
    bytes.extend(IPV4);
    bytes.extend(LENGTHS);
    bytes.extend([0, operation]);
    bytes.extend(mac);
    bytes.extend(address.octets());
    bytes.extend(if operation == 1 { [0; 6] } else { BROADCAST.octets() });
    bytes.extend(address.octets());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_the_address_twice() {
        let packet = packet(MacAddr(2, 0, 0, 0, 0, 1), Ipv4Addr::new(192, 0, 2, 7), 1);
        assert_eq!(packet.len(), 42);
        assert_eq!(packet[28..32], packet[38..42]);
        assert_eq!(packet[22..28], [2, 0, 0, 0, 0, 1]);
    }
}

//! Addresses as people type them: `host:port`, and the coordinator's list of nodes.

use std::fmt;
use std::str::FromStr;

use protocol::id::{NodeId, plain_number};

/// Where a process listens: a host name or IP address, and a port above 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The address of `port` on `host`.
    pub(crate) fn new(host: &Host, port: u16) -> Address {
        Address {
            host: host.0.clone(),
            port,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let bad = || format!("{text:?} is not an address: write host:port, such as 127.0.0.1:5000");
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host: Host = host.parse().map_err(|_| bad())?;
        let port: u16 = plain_number(port).ok_or_else(bad)?;
        if port == 0 {
            return Err(bad());
        }
        Ok(Address::new(&host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A host name or IP address; IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Host, String> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let good = match inner {
            Some(ipv6) => ipv6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            }
        };
        if good {
            Ok(Host(text.to_owned()))
        } else {
            Err(format!(
                "{text:?} is not a host: write a name or an IP address, such as 127.0.0.1 or [::1]"
            ))
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The coordinator's nodes: `N1:127.0.0.1:6001,N2:…`. No name and no address twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeList(Vec<(NodeId, Address)>);

impl NodeList {
    /// The nodes in the order they were named.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(NodeId, Address)> {
        self.0.iter()
    }
}

impl FromStr for NodeList {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeList, String> {
        let mut nodes: Vec<(NodeId, Address)> = Vec::new();
        for item in text.split(',') {
            let (name, address) = item.split_once(':').ok_or_else(|| {
                format!("{item:?} is not a node with its address: write N1:127.0.0.1:6001, separated by ','")
            })?;
            let name: NodeId = name.parse().map_err(|bad| format!("{bad}"))?;
            let address: Address = address.parse()?;
            if nodes.iter().any(|(other, _)| *other == name) {
                return Err(format!("node {name} is named twice"));
            }
            if let Some((other, _)) = nodes.iter().find(|(_, other)| *other == address) {
                return Err(format!(
                    "nodes {other} and {name} have the same address {address}"
                ));
            }
            nodes.push((name, address));
        }
        Ok(NodeList(nodes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_and_bad_ones_are_refused() {
        for good in [
            "127.0.0.1:5000",
            "localhost:1",
            "[::1]:65535",
            "my-host.example:6001",
        ] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ":",
            "5000",
            "host",
            "host:",
            ":5000",
            "host:0",
            "host:65536",
            "host:-1",
            "host:+1",
            "a b:1",
            "::1:5000",
            "[::g]:1",
            "h;rm:1",
            "host:5000:",
            "http://h:1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn a_node_list_names_each_node_and_address_once() {
        let list: NodeList = "N1:127.0.0.1:6001,N2:[::1]:6002".parse().unwrap();
        let texts: Vec<String> = list.iter().map(|(node, at)| format!("{node} {at}")).collect();
        assert_eq!(texts, ["N1 127.0.0.1:6001", "N2 [::1]:6002"]);
        for (bad, expected) in [
            ("N1:h:1,N1:h:2", "node N1 is named twice"),
            ("N1:h:1,N2:h:1", "nodes N1 and N2 have the same address h:1"),
            ("N1", "is not a node with its address"),
            ("N_1:h:1", "is not a node id"),
            ("N1:h:0", "is not an address"),
            ("N1:h:1,", "is not a node with its address"),
            ("", "is not a node with its address"),
        ] {
            let error = bad.parse::<NodeList>().unwrap_err();
            assert!(error.contains(expected), "{bad:?}: {error}");
        }
    }
}

//! Whether an address that SDKs ask is another service's, as on the instances of a cloud.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Addresses at which SDKs look for credentials by themselves: IMDS, ECS, EKS Pod Identity.
pub(super) const WELL_KNOWN: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Where firmware says whose machine this is.
const FIRMWARE: &str = "/sys/class/dmi/id";

/// Where Xen says which machine this is.
const XEN: &str = "/sys/hypervisor/uuid";

/// What clouds with a metadata service at 169.254.169.254 write there: the file, the text, the name.
const CLOUDS: [(&str, &str, &str); 14] = [
    ("sys_vendor", "Amazon EC2", "Amazon EC2"),
    ("sys_vendor", "Google", "Google Cloud"),
    ("sys_vendor", "Alibaba Cloud", "Alibaba Cloud"),
    ("sys_vendor", "DigitalOcean", "DigitalOcean"),
    ("sys_vendor", "Hetzner", "Hetzner Cloud"),
    ("sys_vendor", "OpenStack Foundation", "OpenStack"),
    // Distributors' own, whose vendor is another.
    ("product_name", "OpenStack Nova", "OpenStack"),
    ("product_name", "OpenStack Compute", "OpenStack"),
    ("chassis_asset_tag", "OpenStack Nova", "OpenStack"),
    ("chassis_asset_tag", "OpenStack Compute", "OpenStack"),
    ("chassis_asset_tag", "HUAWEICLOUD", "Huawei Cloud"),
    (
        "chassis_asset_tag",
        "OpenTelekomCloud",
        "Open Telekom Cloud",
    ),
    ("chassis_asset_tag", "OracleCloud.com", "Oracle Cloud"),
    // Other machines of Hyper-V have no such tag.
    (
        "chassis_asset_tag",
        "7783-7084-3265-9085-8269-3286-77",
        "Azure",
    ),
];

/// No more is told of what a service calls itself.
const LONGEST_NAME: usize = 60;

/// How long a service of the next hop may take to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether an address is the one of instances' metadata, which clouds serve themselves.
pub(super) fn is_metadata(ip: IpAddr) -> bool {
    let [imds, _, _, imds_ipv6, _] = WELL_KNOWN;
    ip == imds || ip == imds_ipv6
}

/// The cloud whose instance this host is.
pub(super) fn cloud() -> Option<&'static str> {
    cloud_by(&|path| fs::read_to_string(path).unwrap_or_default())
}

fn cloud_by(read: &dyn Fn(&str) -> String) -> Option<&'static str> {
    // EC2's older instances call themselves Xen's, with a number that begins so.
    if read(XEN).to_ascii_lowercase().starts_with("ec2") {
        return Some("Amazon EC2");
    }
    let mut clouds = CLOUDS.iter();
    let found =
        clouds.find(|(file, text, _)| read(&format!("{FIRMWARE}/{file}")).trim_end() == *text);
    found.map(|(_, _, name)| *name)
}

/// The interface to which a route of its own leads this address off the host.
pub(super) fn routed_by(ip: IpAddr) -> Option<String> {
    let table = match ip {
        IpAddr::V4(_) => "/proc/net/route",
        IpAddr::V6(_) => "/proc/net/ipv6_route",
    };
    let table = fs::read_to_string(table).unwrap_or_default();
    route_in(&table, ip)
}

/// A route a line, its addresses in hex: IPv4's in the host's order, IPv6's in the network's.
fn route_in(table: &str, ip: IpAddr) -> Option<String> {
    let mut routes = table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let interface = match ip {
        IpAddr::V4(ip) => {
            let wanted = format!("{:08X}", u32::from_ne_bytes(ip.octets()));
            routes.find_map(|fields| match fields.as_slice() {
                [interface, to, _, _, _, _, _, "FFFFFFFF", ..] if **to == *wanted => {
                    Some(*interface)
                }
                _ => None,
            })
        }
        IpAddr::V6(ip) => {
            let wanted = format!("{:032x}", u128::from(ip));
            routes.find_map(|fields| match fields.as_slice() {
                [to, "80", .., interface] if **to == *wanted && *interface != "lo" => {
                    Some(*interface)
                }
                _ => None,
            })
        }
    };
    interface
        .filter(|name| *name != "lo")
        .map(ToOwned::to_owned)
}

/// Asks what is at this address; what answers there calls itself so.
///
/// This sends packets: for commands that were told to take the address, or to ask.
pub(super) fn answers(address: SocketAddr) -> Option<String> {
    let request = format!("GET /latest/meta-data/ HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let head = ask(address, &request)?;
    Some(match header(&head, "server") {
        Some(server) => format!("a service that calls itself {server}"),
        None => "a service without a name".to_owned(),
    })
}

/// Whether what answers at this address issues tokens as instance metadata services do. Asking
/// changes nothing there: the token ends within a second, unused.
pub(super) fn issues_tokens(address: SocketAddr) -> bool {
    let request = format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\
         X-aws-ec2-metadata-token-ttl-seconds: 1\r\nConnection: close\r\n\r\n"
    );
    let head = ask(address, &request).unwrap_or_default();
    let status = head.split(' ').nth(1);
    status == Some("200") && header(&head, "x-aws-ec2-metadata-token-ttl-seconds").is_some()
}

/// The head of the answer, or what there is of it in time; nothing where nobody is connected.
fn ask(address: SocketAddr, request: &str) -> Option<String> {
    const LARGEST: usize = 8192;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    let limited = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    let mut head = Vec::new();
    if limited
        .and_then(|()| stream.write_all(request.as_bytes()))
        .is_ok()
    {
        let mut part = [0; 2048];
        while head.len() < LARGEST && !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(length) => head.extend_from_slice(part.get(..length).unwrap_or_default()),
            }
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// The beginning of what a header says.
fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value.trim().chars().take(LONGEST_NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_known_by_their_firmware() {
        for (file, says, cloud) in [
            (
                "/sys/class/dmi/id/sys_vendor",
                "Amazon EC2\n",
                Some("Amazon EC2"),
            ),
            (
                "/sys/hypervisor/uuid",
                "ec2e1916-9099-7caf-fd21-012345abcdef\n",
                Some("Amazon EC2"),
            ),
            (
                "/sys/hypervisor/uuid",
                "12ec2000-9099-7caf-fd21-012345abcdef\n",
                None,
            ),
            (
                "/sys/class/dmi/id/product_name",
                "OpenStack Compute\n",
                Some("OpenStack"),
            ),
            ("/sys/class/dmi/id/sys_vendor", "QEMU\n", None),
        ] {
            let read = |path: &str| {
                if path == file {
                    says.to_owned()
                } else {
                    String::new()
                }
            };
            assert_eq!(cloud_by(&read), cloud, "{file}: {says}");
        }
    }

    #[test]
    fn a_route_of_its_own_is_found() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            eth1\tFEA9FEA9\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let v6 = |interface: &str| {
            let to = "fd000ec2000000000000000000000254";
            let none = "0".repeat(32);
            format!("{to} 80 {none} 00 {none} 00000400 00000001 00000000 00000001 {interface}\n")
        };
        let [imds, ecs, _, imds_ipv6, eks_ipv6] = WELL_KNOWN;
        if cfg!(target_endian = "little") {
            assert_eq!(route_in(v4, imds).as_deref(), Some("eth1"));
        }
        assert_eq!(route_in(v4, ecs), None);
        assert_eq!(route_in(&v6("eth1"), imds_ipv6).as_deref(), Some("eth1"));
        assert_eq!(route_in(&v6("lo"), imds_ipv6), None);
        assert_eq!(route_in(&v6("eth1"), eks_ipv6), None);
    }
}

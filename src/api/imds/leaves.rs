//! What the metadata service tells beside credentials: only what the configuration says. Wrong
//! facts are worse than none, and nothing here pretends to be signed by AWS.

use std::time::SystemTime;

use bytes::Bytes;

use super::route::Route;
use crate::api::date;
use crate::config::Instance;
use crate::types::RoleName;
use crate::vending::AccountFacts;

/// The facts of one metadata listener.
#[derive(Clone, Debug)]
pub(super) struct Leaves {
    instance: Instance,
    since: SystemTime,
}

/// Versions that exist: the oldest, the one that cloud tools fall back to, and the newest.
const VERSIONS: &str = "1.0\n2009-04-04\n2021-07-15\nlatest";

/// The host's, in EC2's words.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "x86_64"
};

impl Leaves {
    pub(super) const fn new(instance: Instance, since: SystemTime) -> Self {
        Self { instance, since }
    }

    /// The body of a leaf or listing; `None` where it is not configured.
    pub(super) fn body(&self, route: Route<'_>, account: &AccountFacts) -> Option<Bytes> {
        let zone = self.instance.availability_zone.as_deref();
        let text = match route {
            Route::Versions => VERSIONS.to_owned(),
            Route::Root if zone.is_some() => "dynamic\nmeta-data".to_owned(),
            Route::Root => "meta-data".to_owned(),
            Route::MetaData => self.meta_data(),
            Route::Iam => "info\nsecurity-credentials/".to_owned(),
            Route::Placement => zone.map(|_| "availability-zone\nregion".to_owned())?,
            Route::AvailabilityZone => zone?.to_owned(),
            Route::Region => region(zone?).to_owned(),
            Route::InstanceId => self.instance.id.clone()?,
            Route::InstanceType => self.instance.kind.clone()?,
            Route::Services => "domain\npartition".to_owned(),
            Route::Domain => domain(account).to_owned(),
            Route::Partition => partition(account).to_owned(),
            Route::Dynamic => zone.map(|_| "instance-identity/".to_owned())?,
            Route::Identity => zone.map(|_| "document".to_owned())?,
            Route::IdentityDocument => self.identity_document(zone?, account),
            Route::IssueToken | Route::IamInfo | Route::RoleList | Route::Document(_) => {
                return None;
            }
        };
        Some(Bytes::from(text))
    }

    fn meta_data(&self) -> String {
        let mut names = vec!["iam/"];
        if self.instance.id.is_some() {
            names.push("instance-id");
        }
        if self.instance.kind.is_some() {
            names.push("instance-type");
        }
        if self.instance.availability_zone.is_some() {
            names.push("placement/");
        }
        names.push("services/");
        names.join("\n")
    }

    fn identity_document(&self, zone: &str, account: &AccountFacts) -> String {
        let document = serde_json::json!({
            "accountId": account.id.as_ref().map(|id| id.as_str().to_owned()),
            "architecture": ARCHITECTURE,
            "availabilityZone": zone,
            "billingProducts": null,
            "devpayProductCodes": null,
            "marketplaceProductCodes": null,
            "imageId": null,
            "instanceId": self.instance.id,
            "instanceType": self.instance.kind,
            "kernelId": null,
            "pendingTime": date(self.since),
            "privateIp": null,
            "ramdiskId": null,
            "region": region(zone),
            "version": "2017-09-30",
        });
        format!("{document:#}")
    }
}

/// `iam/info`. Clients take the last segment of the profile's ARN for the role's name, so profile
/// and role have one name; a `Message` would mean failure to .NET.
pub(super) fn iam_info(role: &RoleName, account: &AccountFacts, updated: SystemTime) -> Bytes {
    let partition = partition(account);
    let id = account.id.as_ref().map_or("", |id| id.as_str());
    let profile = format!("arn:{partition}:iam::{id}:instance-profile/{role}");
    let info = serde_json::json!({
        "Code": "Success",
        "LastUpdated": date(updated),
        "InstanceProfileArn": profile,
        "InstanceProfileId": profile_id(&profile),
    });
    Bytes::from(format!("{info:#}"))
}

/// An id of the shape that IAM gives profiles, always the same for the same ARN.
fn profile_id(arn: &str) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, arn.as_bytes());
    let letters = digest.as_ref().iter().take(17);
    let letters = letters.filter_map(|byte| BASE32.get(usize::from(byte & 31)));
    format!(
        "AIPA{}",
        letters
            .map(|letter| char::from(*letter))
            .collect::<String>()
    )
}

/// A zone's name is its region's and letters: `eu-central-1a`.
fn region(zone: &str) -> &str {
    zone.trim_end_matches(|c: char| c.is_ascii_lowercase())
}

fn partition(account: &AccountFacts) -> &str {
    account
        .partition
        .as_ref()
        .map_or("aws", |partition| partition.as_str())
}

fn domain(account: &AccountFacts) -> &'static str {
    if partition(account) == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

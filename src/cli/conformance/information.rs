//! What SDKs ask beside the credentials: the instance profile, the region.

use regex_lite::Regex;
use serde_json::Value;

use super::finding::{Check, Finding, Found, quoted};
use super::scene::Scene;
use super::wire::Answer;

const PROFILE_PATH: &str = "/latest/meta-data/iam/info";
const REGION_PATH: &str = "/latest/meta-data/placement/region";
const ZONE_PATH: &str = "/latest/meta-data/placement/availability-zone";
const IDENTITY_PATH: &str = "/latest/dynamic/instance-identity/document";

pub(super) const PROFILE: Check = Check {
    name: "iam/info",
    asks: "iam/info has Code Success, LastUpdated, and the InstanceProfileArn whose last part is the \
           role's name",
    why: ".NET's class for instance profiles fails without it; RubyGems and ec2-metadata take the \
          role's name from it",
    mend: "serve it, with the role's name as the profile's",
    source: "aws-sdk-net, RubyGems; missing in rolesanywhere-credential-helper, aws-vault, aws-runas",
    look: profile,
};

pub(super) const REGION: Check = Check {
    name: "region",
    asks: "region, availability zone and identity document agree, or are answered 404; a zone is its \
           region and a letter",
    why: "botocore takes the zone without its last letter for the region: a zone without one gives a \
          region that does not exist",
    mend: "serve all three from one setting, or none",
    source: "limes served the zone eu-west-1, hologram us-west-2x",
    look: region,
};

fn profile(scene: &Scene) -> Found {
    // Who has no role has no profile.
    let role = scene.role()?;
    let answer = scene.ask(&scene.get(PROFILE_PATH))?;
    if answer.status != 200 {
        let what = format!("{PROFILE_PATH} is answered {}", answer.status);
        return Err(Finding::fault(what));
    }
    let Ok(info) = serde_json::from_slice::<Value>(&answer.body) else {
        return Err(Finding::fault("it is no JSON"));
    };
    let text = |key: &str| info.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("Code") != "Success" {
        return Err(Finding::fault(format!("Code is {}", quoted(text("Code")))));
    }
    for key in ["LastUpdated", "InstanceProfileArn", "InstanceProfileId"] {
        if text(key).is_empty() {
            return Err(Finding::fault(format!("it has no {key}")));
        }
    }
    let named = text("InstanceProfileArn").rsplit('/').next();
    if named != Some(role) {
        let what = format!(
            "the profile {} is not named as the role",
            quoted(named.unwrap_or_default())
        );
        return Err(Finding::remark(what));
    }
    Ok("it names the role".to_owned())
}

/// The text of a leaf that may be missing.
fn leaf(scene: &Scene, target: &str) -> Result<Option<Answer>, Finding> {
    let answer = scene.ask(&scene.get(target))?;
    match answer.status {
        200 => Ok(Some(answer)),
        404 => Ok(None),
        status => Err(Finding::fault(format!("{target} is answered {status}"))),
    }
}

fn region(scene: &Scene) -> Found {
    let text = |target| leaf(scene, target).map(|answer| answer.map(|answer| answer.text()));
    let (region, zone) = (text(REGION_PATH)?, text(ZONE_PATH)?);
    let identity = leaf(scene, IDENTITY_PATH)?;
    let identity = identity.map(|answer| serde_json::from_slice::<Value>(&answer.body));
    let identity = identity.transpose().ok();
    let identity = identity.ok_or_else(|| Finding::fault("the identity document is no JSON"))?;
    let of_identity = |key: &str| {
        let value = identity.as_ref().and_then(|document| document.get(key));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    for named in [&region, &of_identity("region")].into_iter().flatten() {
        if !is_region(named) {
            return Err(Finding::fault(format!("{} is no region", quoted(named))));
        }
    }
    let mut regions = vec![region, of_identity("region")];
    for named in [zone, of_identity("availabilityZone")]
        .into_iter()
        .flatten()
    {
        let Some(of_zone) = region_of(&named) else {
            return Err(Finding::fault(format!("{} is no zone", quoted(&named))));
        };
        regions.push(Some(of_zone.to_owned()));
    }
    let mut regions: Vec<String> = regions.into_iter().flatten().collect();
    regions.dedup();
    match regions.as_slice() {
        [] => Ok("none is told: callers must be given one".to_owned()),
        [_one] => Ok("one is told".to_owned()),
        [one, other, ..] => {
            let what = format!("{} in one place, {} in another", quoted(one), quoted(other));
            Err(Finding::fault(what))
        }
    }
}

fn is_region(text: &str) -> bool {
    let form = Regex::new(r"^[a-z]{2,}(-[a-z]+)+-[0-9]+$");
    form.is_ok_and(|form| form.is_match(text))
}

/// The region of a zone, also of a local one, `us-west-2-lax-1a`.
fn region_of(zone: &str) -> Option<&str> {
    let form = Regex::new(r"^([a-z]{2,}(?:-[a-z]+)+-[0-9]+)(?:-[a-z]+-[0-9]+)?[a-z]$").ok()?;
    let region = form.captures(zone)?.get(1)?;
    Some(region.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_regions_and_a_letter() {
        assert_eq!(region_of("eu-central-1a"), Some("eu-central-1"));
        assert_eq!(region_of("us-gov-west-1b"), Some("us-gov-west-1"));
        assert_eq!(region_of("us-west-2-lax-1a"), Some("us-west-2"));
        assert_eq!(region_of("eu-west-1"), None);
        assert!(is_region("ap-southeast-2") && !is_region("eu-west-") && !is_region("eu-west-1a"));
    }
}

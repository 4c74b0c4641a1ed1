//! AWS's partitions and regions, and what is called differently in each.

use std::fmt;
use std::sync::Arc;

use super::{InvalidText, all};

text_type! {
    /// An AWS partition, such as `aws` or `aws-cn`.
    Partition, "a partition", "a name such as `aws`, `aws-cn` or `aws-us-gov`",
    |text| all(text, 1..=32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text_type! {
    /// An AWS region, or what another dialect takes for one.
    Region, "a region", "a name such as `eu-central-1`",
    |text| all(text, 1..=64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Region {
    /// Whether it has the form of AWS's: words, and a number at their end, as `us-gov-west-1`.
    pub fn has_form_of_aws(&self) -> bool {
        let Some((words, number)) = self.as_str().rsplit_once('-') else {
            return false;
        };
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && words.contains('-')
            && words.split('-').all(is_word)
    }
}

/// What AWS calls differently in each of its partitions.
#[derive(Debug)]
struct PartitionFacts {
    name: &'static str,
    /// What the names of its services' hosts end in.
    suffix: &'static str,
    /// The hosts of sign-in and of the console, where they are public.
    console: Option<(&'static str, &'static str)>,
    /// What the names of its regions begin with; `aws` has all others.
    regions: Option<&'static str>,
}

/// The partitions of AWS.
static PARTITIONS: [PartitionFacts; 8] = [
    PartitionFacts {
        name: "aws",
        suffix: "amazonaws.com",
        console: Some(("signin.aws.amazon.com", "console.aws.amazon.com")),
        regions: None,
    },
    PartitionFacts {
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        console: Some(("signin.amazonaws.cn", "console.amazonaws.cn")),
        regions: Some("cn-"),
    },
    PartitionFacts {
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        console: Some((
            "signin.amazonaws-us-gov.com",
            "console.amazonaws-us-gov.com",
        )),
        regions: Some("us-gov-"),
    },
    PartitionFacts {
        name: "aws-iso",
        suffix: "c2s.ic.gov",
        console: None,
        regions: Some("us-iso-"),
    },
    PartitionFacts {
        name: "aws-iso-b",
        suffix: "sc2s.sgov.gov",
        console: None,
        regions: Some("us-isob-"),
    },
    PartitionFacts {
        name: "aws-iso-e",
        suffix: "cloud.adc-e.uk",
        console: None,
        regions: Some("eu-isoe-"),
    },
    PartitionFacts {
        name: "aws-iso-f",
        suffix: "csp.hci.ic.gov",
        console: None,
        regions: Some("us-isof-"),
    },
    PartitionFacts {
        name: "aws-eusc",
        suffix: "amazonaws.eu",
        console: None,
        regions: Some("eusc-"),
    },
];

impl Partition {
    fn facts(&self) -> Option<&'static PartitionFacts> {
        PARTITIONS.iter().find(|facts| facts.name == self.as_str())
    }

    /// The name of the partition that a region's name tells.
    pub fn of_region(region: &Region) -> &'static str {
        let tells = |facts: &&PartitionFacts| {
            let prefix = facts.regions;
            prefix.is_some_and(|prefix| region.as_str().starts_with(prefix))
        };
        PARTITIONS
            .iter()
            .find(tells)
            .map_or("aws", |facts| facts.name)
    }

    /// Whether it is one of those whose regions are known by their names.
    pub fn is_known(&self) -> bool {
        self.facts().is_some()
    }

    /// What the names of its services' hosts end in, where the partition is known.
    pub fn dns_suffix(&self) -> Option<&'static str> {
        self.facts().map(|facts| facts.suffix)
    }

    /// The host that signs browsers in, where it is public.
    pub fn signin_host(&self) -> Option<&'static str> {
        Some(self.facts()?.console?.0)
    }

    /// The console's host, where it is public.
    pub fn console_host(&self) -> Option<&'static str> {
        Some(self.facts()?.console?.1)
    }
}

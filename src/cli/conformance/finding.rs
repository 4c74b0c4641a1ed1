//! What a check is, and what it finds.

use std::fmt::Write as _;

use serde::Serialize;

use super::scene::Scene;
use super::wire::Trouble;
use crate::cli::output::plain;

/// One thing that is asked.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What must be so.
    pub(super) asks: &'static str,
    /// What happens where it is not so.
    pub(super) why: &'static str,
    /// What to do about it.
    pub(super) mend: &'static str,
    /// Who depends on it, or where it was got wrong.
    pub(super) source: &'static str,
    pub(super) look: fn(&Scene) -> Found,
}

/// What passed, or else what was found.
pub(super) type Found = Result<String, Finding>;

/// What keeps a check from passing.
#[derive(Debug)]
pub(super) enum Finding {
    /// It is as the real service has it, and could be safer.
    Remark(String),
    /// It is wrong.
    Fault(String),
    /// It could not be asked.
    Untold(String),
}

impl Finding {
    pub(super) fn remark(what: impl Into<String>) -> Self {
        Self::Remark(what.into())
    }

    pub(super) fn fault(what: impl Into<String>) -> Self {
        Self::Fault(what.into())
    }

    pub(super) fn untold(why: impl Into<String>) -> Self {
        Self::Untold(why.into())
    }
}

/// A check whose matter it is says that it is a fault.
impl From<Trouble> for Finding {
    fn from(trouble: Trouble) -> Self {
        Self::Untold(format!("a request was not answered: {trouble}"))
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Passed,
    Remark,
    Fault,
    Untold,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Remark => "remark",
            Self::Fault => "fault",
            Self::Untold => "untold",
        }
    }
}

/// A check with how it ended.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    check: &'static str,
    pub(super) verdict: Verdict,
    what: String,
    asks: &'static str,
    why: &'static str,
    mend: &'static str,
    source: &'static str,
}

impl Check {
    /// Looks, and tells.
    pub(super) fn told(&self, scene: &Scene) -> Told {
        let (verdict, what) = match (self.look)(scene) {
            Ok(what) => (Verdict::Passed, what),
            Err(Finding::Remark(what)) => (Verdict::Remark, what),
            Err(Finding::Fault(what)) => (Verdict::Fault, what),
            Err(Finding::Untold(what)) => (Verdict::Untold, what),
        };
        Told {
            check: self.name,
            verdict,
            what: plain(&what),
            asks: self.asks,
            why: self.why,
            mend: self.mend,
            source: self.source,
        }
    }
}

impl Told {
    /// `passed  token text      tokens are printable`; why and how to mend where it is not well.
    pub(super) fn readable(&self) -> String {
        let mut text = String::new();
        let mut line = |verdict: &str, label: &str, told: &str| {
            let _fits = writeln!(text, "{verdict:<7} {label:<15} {told}");
        };
        line(self.verdict.word(), self.check, &self.what);
        match self.verdict {
            Verdict::Passed | Verdict::Untold => {}
            Verdict::Remark | Verdict::Fault => {
                line("", "  why", self.why);
                line("", "  mend", self.mend);
            }
        }
        text
    }
}

/// Something short that the other side chose.
pub(super) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    format!("`{short}`")
}

//! The credentials document.

use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime};

use super::finding::{Check, Finding, Found, quoted};
use super::scene::{LIST, Scene};

/// What every document has.
const KEYS_OF_ALL: [&str; 7] = [
    "Code",
    "LastUpdated",
    "Type",
    "AccessKeyId",
    "SecretAccessKey",
    "Token",
    "Expiration",
];

/// What may stand beside them: three SDKs read it, none minds it.
const ACCOUNT: &str = "AccountId";

/// CRT reads no more of a container's document, and clients share their parsers.
const LARGEST: usize = 10_000;

/// Under this SDKs ask at every request, or extend the life by themselves.
const SHORT: i64 = 15 * 60;
const TOO_SHORT: i64 = 5 * 60;

/// How far two clocks of one host may seem apart.
const TOLERANCE: i64 = 60;

pub(super) const KEYS: Check = Check {
    name: "document keys",
    asks: "the document is 200 and a JSON object of Code, LastUpdated, Type, AccessKeyId, \
           SecretAccessKey, Token and Expiration, with no further key that contains one of these",
    why: "CRT aborts the process where a key is missing; s3fs finds keys by substring and takes a \
          wrong token without a word",
    mend: "write these seven keys, and AccountId at most",
    source: "aws-c-auth, s3cmd (LastUpdated), s3fs, Fluent Bit",
    look: keys,
};

pub(super) const VALUES: Check = Check {
    name: "document values",
    asks: "every value is a text, not empty, without escapes and commas; the whole under 10,000 bytes",
    why: "SDKs sign with blank keys and fail far from the cause; s3fs splits at commas, Fluent Bit \
          knows no escapes",
    mend: "keep the last good session while it lives, then answer 503; never 200 without one",
    source: "rolesanywhere-credential-helper #200 serves blank credentials with Success",
    look: values,
};

pub(super) const CODE: Check = Check {
    name: "document code",
    asks: "Code is \"Success\" to the letter, and Type is AWS-HMAC",
    why: "Go, minio, PHP, reqsign and .NET refuse anything else, Rust an escaped spelling too",
    mend: "write Success, or answer with an error's status",
    source: "aws-sdk-go, minio-go, aws-sdk-php",
    look: code,
};

pub(super) const DATES: Check = Check {
    name: "document dates",
    asks: "LastUpdated and Expiration are YYYY-MM-DDTHH:MM:SSZ, the first not in the future",
    why: "a fraction or an offset breaks boto 2, minio and Rust and switches off botocore's guard; \
          s3cmd asks at every request where LastUpdated is to come",
    mend: "write dates in this form, never as a library prints them",
    source: "imds-broker's fractions; botocore, boto 2, minio-py, s3cmd",
    look: dates,
};

pub(super) const LIFE: Check = Check {
    name: "session life",
    asks: "Expiration is at least 15 minutes away",
    why: "an expired set hangs JS v2 and is used for 25 minutes more by botocore; a short one is \
          asked for at every request",
    mend: "renew while half an hour or more is left, and never serve a set that has expired",
    source: "kube2iam #346, ec2metaproxy and rolesanywhere-credential-helper renew too late",
    look: life,
};

pub(super) const TYPE: Check = Check {
    name: "content type",
    asks: "list and document are text/plain or application/json, and not compressed",
    why: "a page of HTML with status 200 is a captive portal or an error page; nobody unpacks",
    mend: "answer text/plain, as EC2 does",
    source: "web frameworks' error pages; .NET's list parser splits at <br/>",
    look: content_type,
};

pub(super) const SAME: Check = Check {
    name: "same document",
    asks: "the document is the same when it is asked for again",
    why: "clients that ask often would use up the upstream's allowance, and no two of them agree",
    mend: "answer from a cache until the session is renewed",
    source: "amazon-ecs-local-container-endpoints calls STS for each request",
    look: same,
};

fn keys(scene: &Scene) -> Found {
    scene.role()?;
    match scene.document_status() {
        None => return Err(Finding::untold("the document's request was not answered")),
        Some(200) => {}
        Some(status) => {
            let what = format!("the listed role's document is answered {status}");
            return Err(Finding::fault(what));
        }
    }
    let fields = scene.fields();
    let fields = fields.map_err(|_untold| Finding::fault("the document is no JSON object"))?;
    let missing = KEYS_OF_ALL.iter().filter(|key| !fields.contains_key(**key));
    let missing: Vec<&str> = missing.copied().collect();
    if !missing.is_empty() {
        return Err(Finding::fault(format!("without {}", missing.join(", "))));
    }
    let own = |key: &str| key == ACCOUNT || KEYS_OF_ALL.contains(&key);
    let further: Vec<&String> = fields.keys().filter(|key| !own(key)).collect();
    if let Some(key) = further.iter().find(|key| is_trap(key)) {
        return Err(Finding::fault(format!(
            "with {}, which s3fs takes for another",
            quoted(key)
        )));
    }
    if let Some(key) = further.first() {
        return Err(Finding::remark(format!(
            "with {}, which no SDK reads",
            quoted(key)
        )));
    }
    Ok("they are those that SDKs read".to_owned())
}

/// Keys that s3fs finds when it looks for others, and the one that makes them too many for it.
fn is_trap(key: &str) -> bool {
    let read = ["Token", "Expiration", "AccessKeyId", "SecretAccessKey"];
    key == "RoleArn"
        || read
            .iter()
            .any(|known| key.to_lowercase().contains(&known.to_lowercase()))
}

fn values(scene: &Scene) -> Found {
    for (key, value) in &scene.fields()? {
        let key = quoted(key);
        let Some(text) = value.as_str() else {
            return Err(Finding::fault(format!("{key} is no text")));
        };
        if text.trim().is_empty() {
            return Err(Finding::fault(format!("{key} is empty")));
        }
        if text.contains(',') {
            return Err(Finding::fault(format!("{key} has a comma")));
        }
    }
    let body = &scene.document()?.body;
    if body.contains(&b'\\') {
        return Err(Finding::fault("the document has escapes"));
    }
    if body.len() >= LARGEST {
        return Err(Finding::fault(format!(
            "the document has {} bytes",
            body.len()
        )));
    }
    Ok("each is there, and plain".to_owned())
}

fn code(scene: &Scene) -> Found {
    let fields = scene.fields()?;
    for (key, wanted) in [("Code", "Success"), ("Type", "AWS-HMAC")] {
        let Some(value) = fields.get(key) else {
            return Err(Finding::untold(format!("there is no {key}")));
        };
        let value = value.as_str().unwrap_or_default();
        if value != wanted {
            return Err(Finding::fault(format!("{key} is {}", quoted(value))));
        }
    }
    if !scene.document()?.text().contains("\"Success\"") {
        return Err(Finding::fault("Success is written with escapes"));
    }
    Ok("it is Success, of AWS-HMAC".to_owned())
}

/// A date of the document.
fn date(scene: &Scene, key: &str) -> Result<String, Finding> {
    let fields = scene.fields()?;
    let date = fields.get(key).and_then(|date| date.as_str());
    let date = date.filter(|date| !date.is_empty()).map(str::to_owned);
    date.ok_or_else(|| Finding::untold(format!("there is no {key}")))
}

/// Seconds from now until this date, which has the one right form.
fn until_exact(scene: &Scene, date: &str) -> Option<i64> {
    let fits = date.len() == "2027-01-01T00:00:00Z".len();
    let parsed = NaiveDateTime::parse_from_str(date, "%Y-%m-%dT%H:%M:%SZ").ok();
    let parsed = parsed.filter(|_| fits)?.and_utc();
    Some(parsed.timestamp() - now(scene))
}

fn now(scene: &Scene) -> i64 {
    let since = scene.clock.now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

fn dates(scene: &Scene) -> Found {
    for key in ["LastUpdated", "Expiration"] {
        let date = date(scene, key)?;
        let Some(until) = until_exact(scene, &date) else {
            return Err(Finding::fault(format!("{key} is {}", quoted(&date))));
        };
        if key == "LastUpdated" && until > TOLERANCE {
            let what = format!("LastUpdated is {until} s in the future");
            return Err(Finding::fault(what));
        }
    }
    Ok("both have whole seconds and Z".to_owned())
}

fn life(scene: &Scene) -> Found {
    let date = date(scene, "Expiration")?;
    let any_form = || {
        let parsed = DateTime::parse_from_rfc3339(&date).ok()?;
        Some(parsed.timestamp() - now(scene))
    };
    let left = until_exact(scene, &date).or_else(any_form);
    match left.ok_or_else(|| Finding::untold("Expiration is no date"))? {
        ..=0 => Err(Finding::fault("the session has expired")),
        left @ ..TOO_SHORT => Err(Finding::fault(format!("{left} s are left"))),
        left @ ..SHORT => Err(Finding::remark(format!("{left} s are left"))),
        _ => Ok("15 minutes and more are left".to_owned()),
    }
}

fn content_type(scene: &Scene) -> Found {
    let list = scene.ask(&scene.get(LIST))?;
    let document = scene.document()?;
    for (of, answer) in [("the list", &list), ("the document", document)] {
        if !answer.is_success() {
            continue;
        }
        let Some(told) = answer.header("content-type") else {
            return Err(Finding::remark(format!("{of} has none")));
        };
        let kind = told.split(';').next().unwrap_or_default().trim();
        if !matches!(kind, "text/plain" | "application/json") {
            return Err(Finding::fault(format!("{of} is {}", quoted(told))));
        }
        if answer.header("content-encoding").is_some() {
            return Err(Finding::fault(format!("{of} is compressed")));
        }
    }
    Ok("it is a plain one".to_owned())
}

fn same(scene: &Scene) -> Found {
    let path = scene.document_path()?;
    let first = &scene.document()?.body;
    let second = scene.ask(&scene.get(&path))?;
    if second.body == *first {
        return Ok("it is the same again".to_owned());
    }
    // It may have been renewed just then.
    let third = scene.ask(&scene.get(&path))?;
    if second.is_success() && third.body == second.body {
        return Ok("it was renewed, and is the same again".to_owned());
    }
    Err(Finding::fault("each request gets another document"))
}

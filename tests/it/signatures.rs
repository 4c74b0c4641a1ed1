//! What the SDK signs is verified: ten thousand requests of every form, made by chance.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rolecall::authority::signature::{Age, HttpRequest, Mismatch, Payload};
use rolecall::secret::{ExposeSecret as _, SecretString};

const REQUESTS: u64 = 10_000;
const QUARTER: Age = Age::Within(Duration::from_mins(15));

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Chance that is the same at each run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn number(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one_of<'a>(&mut self, what: &[&'a str]) -> &'a str {
        what[usize::try_from(self.number(what.len().try_into().unwrap())).unwrap()]
    }

    fn text(&mut self, most: u64, pieces: &[&str]) -> String {
        (0..self.number(most + 1))
            .map(|_| self.one_of(pieces))
            .collect()
    }
}

/// One request as it goes over the wire, and what it was signed with.
struct Sent {
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    payload: Payload,
    secret: String,
    token: Option<String>,
    signed_at: SystemTime,
}

const QUERY: [&str; 15] = [
    "a", "Z", "0", "-", "_", "~", ".", "%20", "+", "%2B", "%2f", "/", "%C3%A9", "*", "%7e",
];

fn query(chance: &mut Chance) -> Vec<String> {
    let pairs = 0..chance.number(6);
    let pairs = pairs.map(|_| match chance.number(6) {
        0 => chance.text(4, &QUERY),
        _ => format!("{}={}", chance.text(4, &QUERY), chance.text(8, &QUERY)),
    });
    pairs.collect()
}

/// The path as it goes over the wire: S3's are encoded as S3 encodes them.
fn path(chance: &mut Chance, s3: bool) -> String {
    if s3 {
        let key = chance.text(8, &["a", "B", "/", " ", "+", "é", "~", "@", "=", "//", "."]);
        let segments = key
            .split('/')
            .map(|segment| utf8_percent_encode(segment, RESERVED).to_string());
        return format!("/bucket/{}", segments.collect::<Vec<_>>().join("/"));
    }
    let pieces = [
        "a", "B", "/", "%20", "@", "%40", "~", "//", "/./", "/../", ".", "(", "%C3%A9", "+", ":",
    ];
    format!("/{}", chance.text(8, &pieces))
}

fn headers(chance: &mut Chance) -> Vec<(String, String)> {
    let value = ["a", "Zz", " ", "  ", "\"q  q\"", ",", ";", "=", "/"];
    let names = ["X-One", "x-two", "X-AMZ-Meta-Three", "Content-Type"];
    let headers = 0..chance.number(4);
    let headers = headers.map(|_| (chance.one_of(&names).to_owned(), chance.text(6, &value)));
    headers.collect()
}

fn body(chance: &mut Chance) -> Vec<u8> {
    let length = [0, 0, 1, 64, 1024][usize::try_from(chance.number(5)).unwrap()];
    (0..length)
        .map(|_| u8::try_from(chance.number(256)).unwrap())
        .collect()
}

fn sent(chance: &mut Chance) -> Sent {
    let (s3, in_query) = (chance.number(3) == 0, chance.number(2) == 0);
    let service = if s3 {
        "s3"
    } else {
        chance.one_of(&["sts", "iam", "ec2"])
    };
    let signed_at = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + chance.number(2_000_000_000));
    let secret = chance.text(40, &["a", "B", "/", "+", "9"]) + "x";
    let token = (chance.number(2) == 0).then(|| chance.text(20, &["t", "/", "+", "="]) + "x");
    let mut settings = SigningSettings::default();
    if s3 {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if in_query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(chance.number(604_800) + 1));
    } else if chance.number(4) == 0 {
        settings.session_token_mode = SessionTokenMode::Exclude;
    }
    let method = chance.one_of(&["GET", "POST", "PUT", "DELETE", "HEAD"]);
    let (path, mut query, body) = (path(chance, s3), query(chance), body(chance));
    let host = chance.one_of(&["sts.local", "h:8443", "[::1]:80", "127.0.0.1"]);
    let mut headers = headers(chance);
    headers.push(("Host".to_owned(), host.to_owned()));
    let (signable, payload) = match (s3, in_query) {
        (true, true) => (SignableBody::UnsignedPayload, Payload::Unsigned),
        (true, false) if chance.number(3) == 0 => {
            let body = SignableBody::StreamingUnsignedPayloadTrailer;
            (body, Payload::Unsigned)
        }
        _ => (SignableBody::Bytes(&body), Payload::Signed),
    };
    let uri = format!("https://{host}{path}?{}", query.join("&"));
    let lines = headers.iter().map(|(name, value)| (&**name, &**value));
    let request = SignableRequest::new(method, &uri, lines, signable).unwrap();
    let identity = Credentials::new("AKIDEXAMPLE", &secret, token.clone(), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(chance.one_of(&["eu-central-1", "us-east-1", ""]))
        .name(service)
        .time(signed_at)
        .settings(settings)
        .build()
        .unwrap();
    let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
    let added = instructions.headers();
    headers.extend(added.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, value) in instructions.params() {
        let at = usize::try_from(chance.number(u64::try_from(query.len()).unwrap() + 1)).unwrap();
        query.insert(
            at,
            format!("{name}={}", utf8_percent_encode(value, RESERVED)),
        );
    }
    Sent {
        method,
        path,
        query: query.join("&"),
        headers,
        body,
        payload,
        secret,
        token,
        signed_at,
    }
}

#[test]
fn what_the_sdk_signs_is_verified() {
    let mut chance = Chance(1);
    for number in 0..REQUESTS {
        let sent = sent(&mut chance);
        let headers = sent.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();
        let request = HttpRequest {
            method: sent.method,
            path: &sent.path,
            query: Some(&sent.query),
            headers: &headers,
            body: &sent.body,
        };
        let shown = || {
            format!(
                "{number}: {} {}?{} {:?}",
                sent.method, sent.path, sent.query, sent.headers
            )
        };
        let signed = request
            .signed()
            .unwrap_or_else(|error| panic!("{error}: {}", shown()));
        let signed = signed.unwrap_or_else(|| panic!("not signed: {}", shown()));
        let verify =
            |secret: &str| signed.verify(&SecretString::from(secret), sent.signed_at, QUARTER);
        let verified = verify(&sent.secret);
        let verified = verified.unwrap_or_else(|error| {
            panic!("{error}: {}\n{:#?}", shown(), signed.explain(None));
        });
        assert_eq!(verified.payload(), sent.payload, "{}", shown());
        assert_eq!(signed.access_key_id(), "AKIDEXAMPLE");
        let token = signed
            .session_token()
            .map(|token| token.expose_secret().to_owned());
        assert_eq!(token, sent.token, "{}", shown());
        assert_eq!(verify("another").unwrap_err(), Mismatch::Signature);
    }
}

//! Requests of browsers.

use super::finding::{Check, Finding, Found};
use super::scene::{LIST, Scene, TOKEN_PATH, TOKEN_TTL};
use super::wire::Request;

const ALLOWED: &str = "Access-Control-Allow-Origin";
const ORIGIN: (&str, &str) = ("Origin", "https://attacker.example");

pub(super) const CROSS_SITE: Check = Check {
    name: "browsers",
    asks: "no token for a request with a foreign Origin or Sec-Fetch-Site; no answer allows an origin",
    why: "any web page that somebody on this host looks at can make the browser ask (CSRF)",
    mend: "refuse requests with Origin or Sec-Fetch-*: no SDK sends them; send no \
           Access-Control-Allow-* header",
    source: "the threat that the token's header and weep's filters are for",
    look: cross_site,
};

fn cross_site(scene: &Scene) -> Found {
    let with_origin = |request: Request| request.with(ORIGIN.0, ORIGIN.1);
    let preflight = scene
        .bare("OPTIONS", TOKEN_PATH)
        .with("Access-Control-Request-Method", "PUT")
        .with("Access-Control-Request-Headers", &TOKEN_TTL.to_lowercase());
    let puts = [
        ("a foreign Origin", with_origin(scene.put_token("60"))),
        (
            "Sec-Fetch-Site: cross-site",
            scene.put_token("60").with("Sec-Fetch-Site", "cross-site"),
        ),
    ];
    let with_token = with_origin(scene.get(LIST));
    for request in [with_origin(preflight), with_token.clone()] {
        if scene.ask(&request)?.header(ALLOWED).is_some() {
            return Err(Finding::fault(format!("an answer has {ALLOWED}")));
        }
    }
    for (sign, request) in puts {
        if scene.ask(&request)?.is_success() {
            return Err(Finding::fault(format!("a token is issued to {sign}")));
        }
    }
    // Without tokens nothing protects them, which is what other checks are about.
    scene.token()?;
    if scene.ask(&with_token)?.is_success() {
        let what = "no token is issued, and one that was had otherwise is good with an Origin";
        return Err(Finding::remark(what));
    }
    Ok("such requests are refused".to_owned())
}

//! What a token must be to count.

use serde_json::{Value, json};

use super::signer::encoded;
use super::*;

fn world(signer: &Signer) -> World {
    World::new(&Script::new([Reply::Keys(key_set(&[signer]))]))
}

/// The usual claims with these instead; null takes one away.
fn with(changed: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[tokio::test(start_paused = true)]
async fn a_service_accounts_token_names_its_pod() {
    for signer in [Signer::rsa("1"), Signer::p256("1")] {
        let world = world(&signer);
        let token = signer.token(&claims());
        let identity = world.verify(&token).await.unwrap();
        assert_eq!(&*identity.issuer, URL);
        assert_eq!(&*identity.subject, "system:serviceaccount:shop:till");
        assert_eq!(identity.name(), "shop/till");
        let pod = identity.pod.as_ref().unwrap();
        assert_eq!(
            (
                &*pod.namespace,
                pod.name.as_deref(),
                pod.service_account.as_deref()
            ),
            ("shop", Some("till-0"), Some("till"))
        );
        let claim = |name: &str| identity.claims.get(name).map(Vec::as_slice);
        assert_eq!(claim("aud"), Some([Arc::from(PODS)].as_slice()));
        assert_eq!(
            claim("kubernetes.io/pod/name"),
            Some([Arc::from("till-0")].as_slice())
        );
        assert_eq!(claim("kubernetes.io"), None);
        let again = world.verify(&token).await.unwrap();
        assert!(Arc::ptr_eq(&identity, &again), "it is remembered");
    }
}

#[tokio::test(start_paused = true)]
async fn claims_of_before_name_the_pod_too_and_other_subjects_none() {
    let signer = Signer::p256("1");
    let world = world(&signer);
    let flat = json!({
        "kubernetes.io": null,
        "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/service-account.name": "till",
    });
    let old = signer.token(&with(&flat));
    let pod = world.verify(&old).await.unwrap().pod.clone().unwrap();
    assert_eq!(
        (&*pod.namespace, pod.name, pod.service_account.as_deref()),
        ("shop", None, Some("till"))
    );
    for subject in [
        "ann",
        "system:serviceaccount:shop:other",
        "system:serviceaccount:shop",
    ] {
        let token = signer.token(&with(&json!({ "sub": subject })));
        let identity = world.verify(&token).await.unwrap();
        assert_eq!(identity.pod, None, "{subject}");
        assert_eq!(identity.name(), subject);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_signed_by_the_issuer_is_refused() {
    let (signer, other) = (Signer::rsa("1"), Signer::rsa("1"));
    let world = world(&signer);
    let fine = signer.token(&claims());
    world.verify(&fine).await.unwrap();
    let forged = other.token(&claims());
    assert_eq!(world.refused(&forged).await, Refused::Signature.into());
    let (head, _) = fine.rsplit_once('.').unwrap();
    let (_, signature) = forged.rsplit_once('.').unwrap();
    assert_eq!(
        world.refused(&format!("{head}.{signature}")).await,
        Refused::Signature.into()
    );
    let admin = with(&json!({"sub": "system:serviceaccount:kube-system:admin"}));
    let (_, own_signature) = fine.rsplit_once('.').unwrap();
    let header = encoded(r#"{"alg":"RS256","kid":"1"}"#);
    let swapped = format!("{header}.{}.{own_signature}", encoded(admin.to_string()));
    assert_eq!(world.refused(&swapped).await, Refused::Signature.into());
}

#[tokio::test(start_paused = true)]
async fn algorithms_are_the_configurations_and_fit_their_key() {
    let (rsa, p256) = (Signer::rsa("rsa"), Signer::p256("p256"));
    let script = Script::new([Reply::Keys(key_set(&[&rsa, &p256]))]);
    let world = World::new(&script);
    for none in [
        "none", "None", "NONE", "nOnE", "", "RS384", "PS256", "rs256", "HS256",
    ] {
        let token = rsa.sign(&json!({"alg": none, "kid": "rsa"}), &claims());
        assert_eq!(
            world.refused(&token).await,
            Refused::Algorithm.into(),
            "{none}"
        );
    }
    // The public key as the secret of an HMAC, in both forms in which it is commonly known.
    let der = rsa.public_der();
    let modulus = rsa.jwk()["n"].as_str().unwrap().to_owned();
    for secret in [der.as_slice(), modulus.as_bytes()] {
        let signed = format!(
            "{}.{}",
            encoded(r#"{"alg":"HS256","kid":"rsa"}"#),
            encoded(claims().to_string())
        );
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
        let token = format!("{signed}.{}", encoded(tag.as_ref()));
        assert_eq!(world.refused(&token).await, Refused::Algorithm.into());
    }
    assert_eq!(script.asked(), 0, "no keys are fetched for such tokens");
    // The other key's kind.
    for (alg, kid) in [("RS256", "p256"), ("ES256", "rsa")] {
        let token = rsa.sign(&json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(
            world.refused(&token).await,
            Refused::Key.into(),
            "{alg} {kid}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_for_other_purposes_or_too_short_verifies_nothing() {
    let signer = Signer::rsa("1");
    let token = signer.token(&claims());
    let jwk = signer.jwk();
    let changes = [
        json!({"use": "enc"}),
        json!({"key_ops": ["sign"]}),
        json!({"alg": "RS512"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"n": ""}),
        json!({"n": "!"}),
        json!({"kid": "2"}),
    ];
    let spare = Signer::p256("spare").jwk();
    for change in changes {
        let mut key = jwk.clone();
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        let set = json!({"keys": [key, spare]}).to_string();
        let world = World::new(&Script::new([Reply::Keys(set)]));
        assert_eq!(world.refused(&token).await, Refused::Key.into(), "{change}");
    }
    let mut short = jwk;
    short["n"] = Value::from(encoded([0xff; 128]));
    let set = json!({"keys": [short]}).to_string();
    let world = World::new(&Script::new([Reply::Keys(set)]));
    assert_eq!(world.refused(&token).await, Refused::Signature.into());
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_key_id_must_leave_no_choice() {
    let (signer, other) = (Signer::rsa("1"), Signer::rsa("2"));
    let token = signer.sign(&json!({"alg": "RS256"}), &claims());
    world(&signer).verify(&token).await.unwrap();
    let two = World::new(&Script::new([Reply::Keys(key_set(&[&signer, &other]))]));
    assert_eq!(two.refused(&token).await, Refused::Key.into());
}

#[tokio::test(start_paused = true)]
async fn audiences_and_subjects_are_asked_for() {
    let signer = Signer::p256("1");
    let world = world(&signer);
    for (change, why) in [
        (json!({"aud": "sts.amazonaws.com"}), Refused::Audience),
        (
            json!({"aud": ["https://kubernetes.default.svc"]}),
            Refused::Audience,
        ),
        (json!({"aud": []}), Refused::Audience),
        (json!({"aud": "pods.eks.amazonaws.com "}), Refused::Audience),
        (json!({"aud": null}), Refused::Claims),
        (json!({"aud": [PODS, 7]}), Refused::Claims),
        (json!({"aud": {"0": PODS}}), Refused::Claims),
        (json!({"sub": null}), Refused::Claims),
        (json!({"sub": ""}), Refused::Claims),
        (json!({"sub": 7}), Refused::Claims),
        (json!({"exp": null}), Refused::Claims),
        (json!({"exp": "2030"}), Refused::Claims),
        (json!({"exp": -1}), Refused::Claims),
        (json!({"exp": 1e300}), Refused::Claims),
        (json!({"exp": u64::MAX}), Refused::Claims),
        (json!({"nbf": "now"}), Refused::Claims),
    ] {
        let token = signer.token(&with(&change));
        assert_eq!(world.refused(&token).await, why.into(), "{change}");
    }
    for fine in [
        json!({"aud": PODS}),
        json!({"aud": ["other", PODS]}),
        json!({"nbf": null}),
    ] {
        let token = signer.token(&with(&fine));
        assert!(world.verify(&token).await.is_ok(), "{fine}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_counts_between_its_moments_and_a_little_around_them() {
    let signer = Signer::p256("1");
    let world = world(&signer);
    let second = Duration::from_secs(1);
    for (change, why) in [
        (json!({"exp": NOON - 60}), Refused::Expired),
        (json!({"nbf": NOON + 61}), Refused::NotYetValid),
    ] {
        let token = signer.token(&with(&change));
        assert_eq!(world.refused(&token).await, why.into());
    }
    for change in [
        json!({"exp": NOON - 59}),
        json!({"nbf": NOON + 60}),
        json!({"exp": 1.9e9}),
    ] {
        let token = signer.token(&with(&change));
        assert!(world.verify(&token).await.is_ok(), "{change}");
    }
    // What is remembered ends with the token.
    let token = signer.token(&claims());
    world.verify(&token).await.unwrap();
    tokio::time::advance(Duration::from_secs(599) + claims::LEEWAY).await;
    world.verify(&token).await.unwrap();
    tokio::time::advance(second).await;
    assert_eq!(world.refused(&token).await, Refused::Expired.into());
    // A clock that was set counts, too.
    let fresh = signer.token(&with(&json!({"exp": NOON + 6000})));
    world.verify(&fresh).await.unwrap();
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + 6061);
    world.simulation().set_wall(later);
    assert_eq!(world.refused(&fresh).await, Refused::Expired.into());
}

#[tokio::test(start_paused = true)]
async fn session_tags_are_taken_where_the_issuer_may_ask_for_them() {
    let signer = Signer::p256("1");
    let script = Script::new([Reply::Keys(key_set(&[&signer]))]);
    let asked = json!({"https://aws.amazon.com/tags": {
        "principal_tags": {
            "team": ["shop", "other"], "cost": "7", "odd": [7], "none": [],
            "aws:x": ["y"], "a;b": ["c"], "d": ["e\nf"], "": ["g"],
        },
        "transitive_tag_keys": ["team"],
    }});
    let token = signer.token(&with(&asked));
    assert_eq!(World::new(&script).verify(&token).await.unwrap().tags, []);
    let trusted = config::Issuer {
        tags: true,
        ..config()
    };
    let identity = World::of(trusted, &script).verify(&token).await.unwrap();
    let tags = [("cost", "7"), ("team", "shop")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(identity.tags, tags);
}

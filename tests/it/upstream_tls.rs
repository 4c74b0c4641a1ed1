//! The STS source, and plain documents, over TLS.

use std::path::PathBuf;
use std::time::Duration;

use rolecall::grants::Names;
use rolecall::sessions::{Catalogue, FailureKind, FetchError, Fetched, Wish};
use rolecall::transport::Ask;
use rolecall::types::RoleRef;

use crate::support::sts::Credentials;
use crate::support::tls::TlsServer;
use crate::upstream::{account, config, engine, plans, role};

async fn fetch(server: &TlsServer, variables: &[(&str, &str)]) -> Result<Fetched, FetchError> {
    let prod = account("prod", &server.url(), role("prod/web"));
    let plans = plans(&config([prod]), &engine(variables));
    let web = RoleRef::parse("prod/web").unwrap();
    let request = plans
        .request(&Wish::declared(web, Names::default()))
        .unwrap();
    request.source.fetch(None).await
}

#[tokio::test]
async fn an_authority_is_trusted_when_it_is_named() {
    let server = TlsServer::start(&Credentials::default().xml("AssumeRole"));
    let error = fetch(&server, &[]).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Misconfigured, "{error}");
    assert!(
        error
            .message
            .contains("install the authority's certificate"),
        "{error}"
    );
    let authority = server.authority();
    fetch(&server, &[("AWS_CA_BUNDLE", authority.to_str().unwrap())])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bundle_without_certificates_is_told() {
    let server = TlsServer::start("");
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, why) in [
        (file.path().to_str().unwrap(), "no certificates"),
        ("/no/file", "No such"),
    ] {
        let error = fetch(&server, &[("AWS_CA_BUNDLE", path)])
            .await
            .unwrap_err();
        assert_eq!(error.kind, FailureKind::Misconfigured, "{error}");
        assert!(error.message.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_document_is_read_where_its_authority_is_named() {
    let server = TlsServer::start("{}");
    let ask = || Ask::new(server.url(), Duration::from_mins(1), 64);
    let client = engine(&[]).client();
    let error = client.ask(ask()).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    let trusting = client.trusting("issuer.ca-file", server.authority());
    let answer = trusting.ask(ask()).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_ref()),
        (200, b"{}".as_slice())
    );
    let missing = client.trusting("issuer.ca-file", PathBuf::from("/no/file"));
    let error = missing.ask(ask()).await.unwrap_err().to_string();
    assert!(
        error.contains("issuer.ca-file /no/file: No such"),
        "{error}"
    );
}

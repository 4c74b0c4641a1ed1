//! The SDK's default chain, made of its public parts with an environment of our own choice: what
//! in it leads to this daemon is left out, and nothing is asked of 169.254.169.254 where that is
//! this daemon itself.

use std::path::PathBuf;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_config::{Region as SdkRegion, imds};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_async::rt::sleep::TokioSleep;
use hyper::Uri;
use secrecy::SecretString;
use tokio::process::Command;

use super::container::{Authorization, Container};
use super::document;
use crate::sessions::KeyDigest;
use crate::source::engine::{Engine, SdkTime};
use crate::source::environment::Environment;
use crate::transport::{Transport, causes, literal};
use crate::types::Region;

/// Where ECS serves what `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is relative to.
const ECS: &str = "http://169.254.170.2";

/// Where EC2 serves instance metadata.
const EC2: &str = "http://169.254.169.254";
const EC2_V6: &str = "http://[fd00:ec2::254]";

/// Where it lists the instance's role, and below it serves the role's credentials.
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The hosts that a plain-http container endpoint may have, besides loopback: ECS, and EKS Pod
/// Identity.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// The variables that name an endpoint to get credentials from.
const METADATA: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";

/// Why a profile that names a program gives no credentials, where it did not name one at the start.
const SHUT_OUT: &str = "the AWS profiles name a credential_process since the daemon started, which then gave up starting \
     programs: restart it";

/// What the chain's last place is called.
const INSTANCE: &str = "instance";

/// A link of the chain: a provider, or why there is none.
#[derive(Debug)]
enum Link<T> {
    There(T),
    Absent(&'static str),
}

impl<T: ProvideCredentials> ProvideCredentials for Link<T> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        match self {
            Self::There(provider) => provider.provide_credentials(),
            Self::Absent(why) => {
                future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(*why)))
            }
        }
    }
}

/// A container endpoint with the transport to ask it by.
#[derive(Debug)]
struct ContainerLink {
    container: Container,
    transport: Transport,
}

impl ProvideCredentials for ContainerLink {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.container.ask(&self.transport))
    }
}

/// The default chain: variables, the profile, a web identity, the container, the instance.
pub(super) async fn environment(
    region: &Region,
    engine: &Engine,
) -> Result<Credentials, CredentialsError> {
    let variables = engine.environment();
    let name = variables.get("AWS_PROFILE").unwrap_or("default");
    let links: [(&str, Box<dyn ProvideCredentials>); 5] = [
        ("variables", Box::new(keys(variables))),
        (
            "profile",
            Box::new(profile_link(name, region, engine).await?),
        ),
        ("web identity", Box::new(web_identity_link(region, engine))),
        ("container", Box::new(container_link(engine).await)),
        (INSTANCE, Box::new(imds_link(engine))),
    ];
    let mut absent = Vec::new();
    for (place, link) in links {
        match link.provide_credentials().await {
            Err(error @ CredentialsError::CredentialsNotLoaded(_)) => {
                let why = Some(causes(&error)).filter(|why| !why.is_empty());
                absent.push(format!(
                    "{place}: {}",
                    why.as_deref().unwrap_or("nothing there")
                ));
            }
            Err(_) if place == "profile" && variables.shuts_out_a_program() => {
                return Err(CredentialsError::invalid_configuration(SHUT_OUT));
            }
            // The last place alone would be told, where most likely one before it was meant.
            Err(error) if place == INSTANCE => {
                absent.push(format!("{place}: {}", causes(&error)));
                return Err(CredentialsError::provider_error(absent.join("; ")));
            }
            found => return found,
        }
    }
    Err(CredentialsError::not_loaded(absent.join("; ")))
}

/// A named profile of the shared configuration files.
pub(super) async fn profile(
    name: &str,
    region: &Region,
    engine: &Engine,
) -> Result<Credentials, CredentialsError> {
    let link = profile_link(name, region, engine).await?;
    let error = match link.provide_credentials().await {
        Ok(credentials) => return Ok(credentials),
        Err(error) => error,
    };
    let why = causes(&error);
    Err(if why.is_empty() {
        CredentialsError::not_loaded(no_profiles(name, engine.environment()))
    } else if engine.environment().shuts_out_a_program() {
        CredentialsError::invalid_configuration(SHUT_OUT)
    } else if why.contains("cargo feature") {
        CredentialsError::invalid_configuration(signs_in(name))
    } else if wants_codes(name, engine.environment()).await {
        CredentialsError::provider_error(format!(
            "profile `{name}` has an `mfa_serial`, and a daemon asks nobody for codes: let a program \
             that has asked give the credentials, by {{ from = \"process\", … }}: {why}"
        ))
    } else {
        error
    })
}

/// Whether a profile names an MFA device. Its role may do without; where it does not, nothing that
/// STS says tells that a code is missing.
async fn wants_codes(profile: &str, variables: &Environment) -> bool {
    for file in [variables.config_file(), variables.credentials_file()] {
        let text = text(file).await.unwrap_or_default();
        if names_a_device(&text, profile) {
            return true;
        }
    }
    false
}

fn names_a_device(text: &str, profile: &str) -> bool {
    let headings = [format!("[profile {profile}]"), format!("[{profile}]")];
    let mut inside = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('[') {
            inside = headings.iter().any(|heading| line.starts_with(heading));
        }
        let key = line.split_once('=').map(|(key, _)| key.trim());
        inside && key == Some("mfa_serial")
    })
}

/// What is told where the files have no profiles: of that the SDK says nothing.
fn no_profiles(profile: &str, variables: &Environment) -> String {
    let files = [variables.config_file(), variables.credentials_file()];
    let files = files.iter().flatten();
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    if files.is_empty() {
        return format!("profile `{profile}` is in no file: HOME and AWS_CONFIG_FILE are not set");
    }
    format!("profile `{profile}` is not in {}", files.join(" or "))
}

/// The advice for profiles that sign in with SSO or `aws login`: both need a person and a browser.
fn signs_in(profile: &str) -> String {
    format!(
        "profile `{profile}` signs a person in; let the AWS CLI do that, with {{ from = \
         \"process\", command = [\"aws\", \"configure\", \"export-credentials\", \"--profile\", \
         \"{profile}\"] }}"
    )
}

/// The real instance metadata service.
pub(super) async fn imds(engine: &Engine) -> Result<Credentials, CredentialsError> {
    imds_link(engine).provide_credentials().await
}

fn keys(variables: &Environment) -> Link<Credentials> {
    let id = variables.get("AWS_ACCESS_KEY_ID");
    let secret = variables.get("AWS_SECRET_ACCESS_KEY");
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let token = variables.get("AWS_SESSION_TOKEN").map(str::to_owned);
            Link::There(Credentials::new(id, secret, token, None, "environment"))
        }
        _ => Link::Absent("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"),
    }
}

async fn profile_link(
    name: &str,
    region: &Region,
    engine: &Engine,
) -> Result<ProfileFileCredentialsProvider, CredentialsError> {
    let files = EnvConfigFiles::builder()
        .with_contents(
            EnvConfigFileKind::Config,
            text(engine.environment().config_file()).await?,
        )
        .with_contents(
            EnvConfigFileKind::Credentials,
            text(engine.environment().credentials_file()).await?,
        );
    Ok(ProfileFileCredentialsProvider::builder()
        .configure(&settings(region, engine))
        .profile_name(name)
        .profile_files(files.build())
        .with_custom_provider("Environment", keys(engine.environment()))
        .with_custom_provider("EcsContainer", container_link(engine).await)
        .with_custom_provider("Ec2InstanceMetadata", imds_link(engine))
        .build())
}

/// A file's text; one that is not there is empty.
async fn text(file: Option<PathBuf>) -> Result<String, CredentialsError> {
    let Some(file) = file else {
        return Ok(String::new());
    };
    match tokio::fs::read_to_string(&file).await {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            let message = format!("{}: {error}", file.display());
            Err(CredentialsError::invalid_configuration(message))
        }
    }
}

fn web_identity_link(
    region: &Region,
    engine: &Engine,
) -> Link<WebIdentityTokenCredentialsProvider> {
    let variables = engine.environment();
    let (Some(file), Some(role)) = (token_file(variables), variables.get("AWS_ROLE_ARN")) else {
        return Link::Absent("AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not set");
    };
    let identity = StaticConfiguration {
        web_identity_token_file: file,
        role_arn: role.to_owned(),
        session_name: variables
            .get("AWS_ROLE_SESSION_NAME")
            .unwrap_or("rolecall")
            .to_owned(),
    };
    let provider = WebIdentityTokenCredentialsProvider::builder()
        .configure(&settings(region, engine))
        .static_configuration(identity)
        .build();
    Link::There(provider)
}

/// The web identity token that the environment names.
pub(in crate::source) fn token_file(variables: &Environment) -> Option<PathBuf> {
    variables
        .get("AWS_WEB_IDENTITY_TOKEN_FILE")
        .map(PathBuf::from)
}

async fn container_link(engine: &Engine) -> Link<ContainerLink> {
    let variables = engine.environment();
    let url = match (variables.get(RELATIVE_URI), variables.get(FULL_URI)) {
        (Some(relative), _) => format!("{ECS}{relative}"),
        (None, Some(full)) if is_container_url(full) => full.to_owned(),
        (None, Some(_)) => {
            return Link::Absent(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a loopback or container \
                 address",
            );
        }
        (None, None) => return Link::Absent("no AWS_CONTAINER_CREDENTIALS_ variable is set"),
    };
    if engine.transport().leads_here(&url).await {
        return Link::Absent("the container credentials' address is this daemon's own");
    }
    let authorization = match (
        variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ) {
        (Some(file), _) => Authorization::File(PathBuf::from(file)),
        (None, Some(token)) => Authorization::Token(SecretString::from(token)),
        (None, None) => Authorization::None,
    };
    Link::There(ContainerLink {
        container: Container::new(url, authorization),
        transport: engine.transport().clone(),
    })
}

fn is_container_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    uri.scheme_str() == Some("https")
        || host == "localhost"
        || literal(host).is_some_and(|ip| {
            ip.is_loopback() || CONTAINER_HOSTS.iter().any(|known| known.parse() == Ok(ip))
        })
}

/// The instance's role, by IMDSv2. The SDK's own provider would read the process's environment.
#[derive(Debug)]
struct Instance(imds::Client);

impl ProvideCredentials for Instance {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }
}

impl Instance {
    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let list = self.get(ROLES).await?;
        let role = list.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(CredentialsError::not_loaded("the instance has no role"));
        }
        let document = self.get(&format!("{ROLES}{role}")).await?;
        document::read(document.as_bytes(), "imds").map_err(CredentialsError::provider_error)
    }

    async fn get(&self, path: &str) -> Result<String, CredentialsError> {
        let answer = self.0.get(path).await;
        answer
            .map(String::from)
            .map_err(CredentialsError::provider_error)
    }
}

fn imds_link(engine: &Engine) -> Link<Instance> {
    let endpoint = match Metadata::of(engine) {
        Metadata::At(endpoint) => endpoint,
        Metadata::Off => return Link::Absent("AWS_EC2_METADATA_DISABLED is true"),
        Metadata::Ours => return Link::Absent("the instance metadata service is this daemon"),
    };
    let settings = ProviderConfig::empty()
        .with_http_client(engine.transport().clone())
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SdkTime(engine.clock().clone()));
    let client = imds::Client::builder()
        .configure(&settings)
        .max_attempts(2)
        .endpoint(endpoint);
    match client {
        Ok(client) => Link::There(Instance(client.build())),
        Err(_invalid) => Link::Absent("AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL"),
    }
}

/// Where the real instance metadata service is, as far as this daemon may know one.
pub(in crate::source) enum Metadata {
    At(String),
    /// It is turned off.
    Off,
    /// Its address is this daemon's own.
    Ours,
}

impl Metadata {
    pub(in crate::source) fn of(engine: &Engine) -> Self {
        let variables = engine.environment();
        if variables.is_true("AWS_EC2_METADATA_DISABLED") {
            return Self::Off;
        }
        let named = variables
            .get(METADATA)
            .filter(|url| !engine.own().serves(url));
        let default = match variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") {
            Some(mode) if mode.eq_ignore_ascii_case("ipv6") => EC2_V6,
            Some(_) | None => EC2,
        };
        match named.unwrap_or(default) {
            endpoint if engine.own().serves(endpoint) => Self::Ours,
            endpoint => Self::At(endpoint.to_owned()),
        }
    }
}

/// What providers of the SDK's own are given.
fn settings(region: &Region, engine: &Engine) -> ProviderConfig {
    ProviderConfig::empty()
        .with_region(Some(SdkRegion::new(region.as_str().to_owned())))
        .with_http_client(engine.transport().clone())
        .with_sleep_impl(TokioSleep::new())
        .with_time_source(SdkTime(engine.clock().clone()))
}

/// Takes from a program's environment what would lead it back to this daemon.
pub(super) fn hide_ourselves(command: &mut Command, engine: &Engine) {
    let (own, variables) = (engine.own(), engine.environment());
    for name in [METADATA, FULL_URI] {
        if variables.get(name).is_some_and(|url| own.serves(url)) {
            command.env_remove(name);
        }
    }
    if own.serves(ECS) {
        command.env_remove(RELATIVE_URI);
    }
    if matches!(Metadata::of(engine), Metadata::Ours) {
        command.env("AWS_EC2_METADATA_DISABLED", "true");
    }
}

/// The shared configuration files, by content: what they name is part of the base credentials.
pub(super) fn digest_files(key: KeyDigest, variables: &Environment) -> KeyDigest {
    [variables.config_file(), variables.credentials_file()]
        .into_iter()
        .flatten()
        .fold(key, |key, file| {
            key.optional("file", std::fs::read(file).ok().as_deref())
        })
}

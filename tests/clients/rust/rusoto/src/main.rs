//! rusoto's container and instance providers behind its refreshing cache; it knows IMDSv1 only.

use std::env;
use std::io;

use asking::{Answer, answer};
use rusoto_credential::{
    AutoRefreshingProvider, AwsCredentials, ContainerProvider, CredentialsError,
    InstanceMetadataProvider, ProvideAwsCredentials,
};

/// Its `ChainProvider` keeps nothing; its service clients wrap one provider in the cache like this.
enum Provider {
    Container(AutoRefreshingProvider<ContainerProvider>),
    Instance(AutoRefreshingProvider<InstanceMetadataProvider>),
}

impl Provider {
    fn from_environment() -> Result<Self, CredentialsError> {
        if env::vars().any(|(name, _)| name.starts_with("AWS_CONTAINER_CREDENTIALS_")) {
            AutoRefreshingProvider::new(ContainerProvider::new()).map(Self::Container)
        } else {
            AutoRefreshingProvider::new(InstanceMetadataProvider::new()).map(Self::Instance)
        }
    }

    async fn credentials(&self) -> Result<AwsCredentials, CredentialsError> {
        match self {
            Self::Container(provider) => provider.credentials().await,
            Self::Instance(provider) => provider.credentials().await,
        }
    }
}

// A worker thread: kept connections must notice their end while the main one waits for an ask.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> io::Result<()> {
    let provider = Provider::from_environment().map_err(io::Error::other)?;
    answer(|| async {
        let found = provider
            .credentials()
            .await
            .map_err(|error| error.to_string())?;
        Ok(Answer::Key {
            access_key_id: found.aws_access_key_id().to_owned(),
            secret_access_key: found.aws_secret_access_key().to_owned(),
            session_token: found.token().clone().unwrap_or_default(),
        })
    })
    .await
}

//! object_store's own credential providers, as its S3 store builds them from the environment.

use std::io;

use asking::{Answer, answer};
use object_store::aws::AmazonS3Builder;

// A worker thread: kept connections must notice their end while the main one waits for an ask.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> io::Result<()> {
    let store = AmazonS3Builder::from_env()
        .with_bucket_name("bucket")
        .with_region("us-east-1")
        .build()
        .map_err(io::Error::other)?;
    let provider = store.credentials();
    answer(|| async {
        let found = provider
            .get_credential()
            .await
            .map_err(|error| error.to_string())?;
        Ok(Answer::Key {
            access_key_id: found.key_id.clone(),
            secret_access_key: found.secret_key.clone(),
            session_token: found.token.clone().unwrap_or_default(),
        })
    })
    .await
}

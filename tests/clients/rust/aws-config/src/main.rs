//! The Rust SDK: a service client that lives as long as the program signs a call for each ask, so
//! that the SDK's own identity cache decides when to ask the daemon again.

use std::error::Error;
use std::io;

use asking::{Answer, answer};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_smithy_http_client::Builder;

// A worker thread: kept connections must notice their end while the main one waits for an ask.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> io::Result<()> {
    let config = aws_config::from_env()
        .http_client(Builder::new().build_http())
        .load()
        .await;
    let client = Client::new(&config);
    answer(|| async {
        let identity = client.get_caller_identity().send().await.map_err(plain)?;
        Ok(Answer::Signed {
            access_key_id: identity.user_id.unwrap_or_default(),
        })
    })
    .await
}

fn plain<E: Error>(error: E) -> String {
    DisplayErrorContext(error).to_string()
}

//! The axum peer: what a user would write with axum, sqlx and the crate argon2.
//!
//! ```text
//! axum_peer HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE
//! ```
//!
//! `ARGON2` (`m=19456,t=2,p=1`) is the strength, and `ARGON2_MEMORY` (`fresh` or `reused`) where its memory
//! comes from. Prints `ready http://HOST:PORT`. See `../README.md`.

mod api;
mod password;
mod store;

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::api::App;
use crate::password::Hasher;
use crate::store::Store;

// The system's allocator gives 19 MiB back after each hash, and gets it zeroed page by page for the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [listen, store_url] = &arguments[..] else {
        return Err("axum_peer HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE".into());
    };
    let strength = env::var("ARGON2").unwrap_or_else(|_| "m=19456,t=2,p=1".to_owned());
    let reuses_memory = match env::var("ARGON2_MEMORY").as_deref() {
        Err(_) | Ok("fresh") => false,
        Ok("reused") => true,
        Ok(other) => return Err(format!("ARGON2_MEMORY is fresh or reused, not {other}").into()),
    };
    let hasher = Hasher::new(strength.parse()?, reuses_memory);
    let store = Store::open(store_url).await?;
    let app = Arc::new(App::new(store, hasher).await?);

    let listener = TcpListener::bind(listen).await?;
    println!("ready http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, api::routes(app)).await?;
    Ok(())
}

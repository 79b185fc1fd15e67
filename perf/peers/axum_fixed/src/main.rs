//! axum as its documentation shows it: multi-threaded tokio, one route, a body that is shared and not
//! copied. `axum_fixed ADDRESS ANSWER_FILE` answers with the content of the file and the fields that
//! http_front sends; hyper writes `Content-Length` and `Date`. Nobody is asked for a token.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file] = &arguments[..] else {
        return Err("usage: axum_fixed ADDRESS ANSWER_FILE".into());
    };
    let answer = std::fs::read(file)?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("no head")?;
    let content = Bytes::from(answer).slice(head + 4..);
    let products = move || async move {
        ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], content)
    };
    let app = Router::new().route("/open_api/v1/products", get(products));
    // Without it answers to pipelined requests wait for acknowledgements.
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    println!("ready {}", axum::serve::Listener::local_addr(&listener)?);
    axum::serve(listener, app).await?;
    Ok(())
}

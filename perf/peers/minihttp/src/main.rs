//! may_minihttp as its examples show it: a coroutine a connection, as many workers as cores.
//! `minihttp ADDRESS ANSWER_FILE` answers with as many bytes as the file has: the fields that http_front
//! sends, its own `Server`, and the content, which is shorter for it. Nobody is asked for a token.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};

use may_minihttp::{HttpServer, HttpService, Request, Response};

/// What may_minihttp adds to an answer.
const ADDED: &str = "Server: M\r\n";

#[derive(Clone)]
struct Products(&'static str);

impl HttpService for Products {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        if request.method() == "GET" && request.path() == "/open_api/v1/products" {
            response.header("Content-Type: application/json");
            response.header("Cache-Control: no-store");
            response.body(self.0);
        } else {
            response.status_code(404, "Not Found");
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, file] = &arguments[..] else {
        return Err("usage: minihttp ADDRESS ANSWER_FILE".into());
    };
    let answer = std::fs::read_to_string(file)?;
    let (_, content) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    let content: &'static str = content[ADDED.len()..].to_owned().leak();
    // It does not tell which port it was given, so one that is free is looked for first.
    let address: SocketAddr = TcpListener::bind(address)?.local_addr()?;
    may::config().set_workers(std::thread::available_parallelism()?.get());
    let server = HttpServer(Products(content)).start(address)?;
    println!("ready {address}");
    server.wait();
    Ok(())
}

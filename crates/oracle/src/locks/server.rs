//! A server for the files of a folder, on this machine alone.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Where the server says that a file will be found for ever.
type Links = Arc<Mutex<HashMap<String, String>>>;

/// It serves until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    links: Links,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the files below `folder`.
    pub(super) fn start(folder: PathBuf) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (links, is_over) = (Links::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (links, is_over) = (links.clone(), is_over.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    // Who leaves early is served no more.
                    let _ = stream.and_then(|stream| answer(stream, &folder, &links));
                }
            })
        };
        Ok(Self { address, links, is_over, thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets answers for `file` say that `url` will lead to the same for ever.
    pub(super) fn link(&self, file: &str, url: &str) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(file.to_owned(), url.to_owned());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for somebody to come.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, folder: &Path, links: &Links) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
    let name = path.trim_start_matches('/').split('?').next().unwrap_or_default().to_owned();
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let body = std::fs::read(folder.join(&name)).ok();
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let mut head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    let links = links.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(url) = links.get(&name) {
        head.push_str(&format!("link: <{url}>; rel=\"immutable\"\r\n"));
    }
    drop(links);
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(())
}

//! A real S3 server on the loopback address, which fails where a test wants it to.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The bucket that every server has.
pub const BUCKET: &str = "backups";
/// The key that opens it.
pub const ACCESS_KEY: &str = "REHOME";
/// The secret of that key.
pub const SECRET_KEY: &str = "not-so-secret";

/// What a server does with a request in place of an answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing and answers with this status.
    Status(u16),
    /// Does nothing and closes the connection.
    Away,
    /// Does what it is asked for and closes the connection.
    LostAnswer,
    /// Does what it is asked for and does not answer until the client gives up.
    LateAnswer,
}

/// Which requests fail.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The request's method and its path with query, as `PUT /backups/set/SET`, contain each of
    /// these words.
    pub contains: String,
    /// How many such requests are answered first.
    pub after: usize,
    /// How many fail then.
    pub count: usize,
    /// How they fail.
    pub fault: Fault,
}

impl Rule {
    fn take(&mut self, request: &str) -> Option<Fault> {
        if !self.contains.split(' ').all(|word| request.contains(word)) {
            return None;
        }
        if self.after > 0 {
            self.after -= 1;
            return None;
        }
        self.count = self.count.checked_sub(1)?;
        Some(self.fault)
    }
}

/// What is shared between a server and the test.
#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<String>>,
    came: Condvar,
}

/// A server with one bucket in a folder of its own. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server on a free port.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn start() -> io::Result<Server> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let files = FileSystem::new(folder.path())
            .map_err(|error| io::Error::other(format!("no folder for the server: {error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            runtime.spawn(accept(listener, service, shared));
            // An error says that the server was dropped: that is the signal.
            _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        });
        Ok(Server { address, state, stop: Some(stop), thread: Some(thread), folder })
    }

    /// The settings by which a client reaches it.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        let settings = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Lets requests fail by `rules` and forgets the rules before.
    pub fn fail(&self, rules: Vec<Rule>) {
        *lock(&self.state.rules) = rules;
    }

    /// The requests so far, as [`Rule::contains`] sees them.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state.requests).clone()
    }

    /// Waits until `count` requests have come in all.
    pub fn wait_for(&self, count: usize) {
        let requests = lock(&self.state.requests);
        let few = |requests: &mut Vec<String>| requests.len() < count;
        drop(self.state.came.wait_while(requests, few).unwrap_or_else(PoisonError::into_inner));
    }

    /// The folder in which the bucket's objects are.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has failed the test already.
            _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, service: S3Service, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, service.clone(), Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, service: S3Service, state: Arc<State>) {
    let answer = |request: Request<Incoming>| {
        let (service, state) = (service.clone(), Arc::clone(&state));
        async move { answer(request, &service, &state).await }
    };
    // How a connection ends is what tests are about: nobody needs to be told here.
    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

/// Answers a request, or does what a rule says. An error closes the connection.
async fn answer(
    request: Request<Incoming>,
    service: &S3Service,
    state: &State,
) -> io::Result<Response<s3s::Body>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let said = format!("{} {path}", request.method());
    let fault = lock(&state.rules).iter_mut().find_map(|rule| rule.take(&said));
    lock(&state.requests).push(said);
    state.came.notify_all();
    let closed = || io::Error::other("the connection is closed");
    match fault {
        Some(Fault::Away) => return Err(closed()),
        Some(Fault::Status(status)) => {
            let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
            let mut response = Response::new(s3s::Body::empty());
            *response.status_mut() = status;
            return Ok(response);
        }
        _ => {}
    }
    let answered = service.call(request.map(s3s::Body::from)).await;
    let mut answered = answered.map_err(|error| io::Error::other(format!("{error:?}")))?;
    if fault.is_some() {
        drain(answered.body_mut()).await;
    }
    match fault {
        Some(Fault::LateAnswer) => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Some(_) => Err(closed()),
        None => Ok(answered),
    }
}

/// Some answers do their work while they are sent.
async fn drain(body: &mut s3s::Body) {
    use http_body_util::BodyExt as _;
    while let Some(Ok(_)) = body.frame().await {}
}

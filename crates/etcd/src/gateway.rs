//! Requests to etcd's JSON gateway: one endpoint after the other, each within its time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rehome_cluster::CoordinatorError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::Agent;

use crate::endpoints::Endpoints;
use crate::place::EtcdPlace;
use crate::records::{Refusal, Txn};
use crate::tls;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How long a request may take before the lease of the cluster is known.
const FIRST_TIMEOUT_MS: u64 = 2_000;

/// The shortest time for a request: less would be over before etcd has synced its disk.
const TIMEOUT_MS_MIN: u64 = 100;

/// The shortest time for a connection: half of a request's, so that who is not there leaves time to
/// ask somebody else.
const CONNECT_MS_MIN: u64 = 100;

/// Codes of gRPC that say that whoever asks may not.
const PERMISSION_DENIED: u64 = 7;
const UNAUTHENTICATED: u64 = 16;

/// A connection to a cluster of etcd.
#[derive(Debug)]
pub(crate) struct Gateway {
    place: PathBuf,
    endpoints: Endpoints,
    timeout_ms: AtomicU64,
    agent: Agent,
}

/// Why one request to one endpoint came to nothing.
enum Failed {
    /// Nothing was sent: another endpoint can be asked the same.
    NotSent(CoordinatorError),
    /// It may have been done or not.
    Unknown(CoordinatorError),
    /// Nobody else would answer otherwise.
    Final(CoordinatorError),
}

impl Gateway {
    pub(crate) fn new(place: &EtcdPlace) -> Result<Self, CoordinatorError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .no_delay(true);
        let config = match &place.tls {
            Some(files) => config.tls_config(tls::config(files)?),
            None => config,
        };
        Ok(Self {
            place: place.as_path().to_owned(),
            endpoints: Endpoints::new(place.endpoints.clone()),
            timeout_ms: AtomicU64::new(FIRST_TIMEOUT_MS),
            agent: config.build().into(),
        })
    }

    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// A request takes a quarter of the lease at most: there is time for more than one.
    pub(crate) fn fit_lease(&self, lease_ms: u64) {
        self.timeout_ms.store((lease_ms / 4).max(TIMEOUT_MS_MIN), Ordering::Relaxed);
    }

    /// Everything in some ranges, at one moment. It takes an eighth of the lease at most: what is
    /// not known soon is asked of another member.
    pub(crate) fn read(&self, ranges: &[Value]) -> Result<Txn, CoordinatorError> {
        let body = json!({ "compare": [], "success": ranges, "failure": [] });
        self.call("/v3/kv/txn", &body, self.timeout_ms.load(Ordering::Relaxed) / 2)
    }

    /// A transaction: if all of `compare` hold `success` is done, otherwise `failure`.
    pub(crate) fn txn(
        &self,
        compare: &[Value],
        success: &[Value],
        failure: &[Value],
    ) -> Result<Txn, CoordinatorError> {
        let body = json!({ "compare": compare, "success": success, "failure": failure });
        self.call("/v3/kv/txn", &body, self.timeout_ms.load(Ordering::Relaxed))
    }

    /// Asks the endpoint that answered last, and the others if it takes nothing.
    fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        timeout_ms: u64,
    ) -> Result<T, CoordinatorError> {
        let body = body.to_string();
        let mut last = None;
        for _ in 0..self.endpoints.count() {
            let current = self.endpoints.current(Instant::now());
            match self.call_one(self.endpoints.url(current), path, &body, timeout_ms) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Unknown(error)) => {
                    self.endpoints.failed(current, false, Instant::now());
                    return Err(error);
                }
                Err(Failed::NotSent(error)) => {
                    self.endpoints.failed(current, true, Instant::now());
                    last = Some(error);
                }
            }
        }
        Err(last.expect("a place has at least one endpoint"))
    }

    fn call_one<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        path: &str,
        body: &str,
        timeout_ms: u64,
    ) -> Result<T, Failed> {
        let timeout = Duration::from_millis(timeout_ms);
        // Where there is nobody else to ask, a slow handshake has all the time there is.
        let connect_ms = match self.endpoints.count() {
            1 => timeout_ms,
            _ => (timeout_ms / 2).max(CONNECT_MS_MIN),
        };
        let connect = Duration::from_millis(connect_ms);
        let request = self.agent.post(format!("{endpoint}{path}")).config();
        let request = request.timeout_connect(Some(connect));
        let request = request.timeout_global(Some(timeout)).build();
        let mut response = request.send(body).map_err(|error| self.failed(endpoint, &error))?;
        let status = response.status();
        let bytes = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| self.failed(endpoint, &error))?;
        if !status.is_success() {
            return Err(self.refused(endpoint, status.as_u16(), &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            let cause = format!("{endpoint} gave an answer that is none of etcd's: {error}");
            Failed::Final(self.refuse(cause))
        })
    }

    /// Opens a stream of answers; nothing is heard of it for `silence` at most.
    pub(crate) fn stream(
        &self,
        path: &str,
        body: &Value,
        silence: Duration,
    ) -> Result<impl io::Read + use<>, CoordinatorError> {
        let endpoint = self.endpoints.url(self.endpoints.current(Instant::now()));
        let timeout = Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed));
        let request = self.agent.post(format!("{endpoint}{path}")).config();
        let request = request
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(silence))
            .timeout_recv_body(Some(silence))
            .build();
        match request.send(body.to_string()) {
            Ok(response) => Ok(response.into_body().into_reader()),
            Err(error) => Err(match self.failed(endpoint, &error) {
                Failed::NotSent(error) | Failed::Unknown(error) | Failed::Final(error) => error,
            }),
        }
    }

    fn refuse(&self, cause: String) -> CoordinatorError {
        CoordinatorError::Refused { place: self.place.clone(), cause }
    }

    fn unreachable(&self, source: io::Error) -> CoordinatorError {
        CoordinatorError::Unreachable { place: self.place.clone(), source }
    }

    fn refused(&self, endpoint: &str, status: u16, bytes: &[u8]) -> Failed {
        let said: Refusal = serde_json::from_slice(bytes).unwrap_or_default();
        let text = if said.message.is_empty() { said.error } else { said.message };
        let text = format!("{endpoint} answers {status} {text}");
        match said.code {
            PERMISSION_DENIED | UNAUTHENTICATED => {
                let remedy = "give a certificate that etcd lets read and write there";
                Failed::Final(self.refuse(format!("{text}; {remedy}")))
            }
            _ => Failed::Unknown(self.unreachable(io::Error::other(text))),
        }
    }

    fn failed(&self, endpoint: &str, error: &ureq::Error) -> Failed {
        if let Some(cause) = tls_cause(error) {
            return Failed::Final(self.refuse(format!("{endpoint}: {cause}")));
        }
        let kind = match error {
            ureq::Error::Io(error) => error.kind(),
            ureq::Error::Timeout(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        let sent = !matches!(
            error,
            ureq::Error::HostNotFound
                | ureq::Error::ConnectionFailed
                | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        ) && !matches!(
            kind,
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        );
        let dropped = matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        // A server that does not want a certificate may close before it has said so.
        let hint = match dropped && endpoint.starts_with("https:") {
            true => " (the server may not accept our certificate, or want one)",
            false => "",
        };
        let error = self.unreachable(io::Error::new(kind, format!("{endpoint}: {error}{hint}")));
        if sent { Failed::Unknown(error) } else { Failed::NotSent(error) }
    }
}

/// What is wrong between the two sides of TLS, if that is what is wrong.
fn tls_cause(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    Some(match error {
        rustls::Error::InvalidCertificate(cause) => match tls::validity(cause) {
            Some(cause) => format!("of this server, {cause}"),
            None => format!("the server's certificate is not believed: {error}; give the right ca"),
        },
        rustls::Error::AlertReceived(_) => {
            format!("the server does not accept our certificate: {error}; give a valid one")
        }
        _ => format!("there is no secure connection: {error}"),
    })
}

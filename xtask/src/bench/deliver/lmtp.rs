//! A small LMTP client (RFC 2033) that pipelines what may be pipelined (RFC 2920).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to a server that has been greeted.
pub(crate) struct Connection {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Connection {
    pub(crate) fn open(socket: &Path) -> Result<Connection, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", socket.display());
        let writer = UnixStream::connect(socket).map_err(failed)?;
        let reader = BufReader::new(writer.try_clone().map_err(failed)?);
        let mut connection = Connection { reader, writer };
        connection.expect("220")?;
        connection.say(b"LHLO bench.example\r\n")?;
        connection.expect("250")?;
        Ok(connection)
    }

    /// Delivers a message; the time is from the first command to the reply after the data, which
    /// says that it is durable.
    pub(crate) fn deliver(&mut self, user: &str, body: &[u8]) -> Result<Duration, String> {
        let envelope = format!("MAIL FROM:<a@bench.example>\r\nRCPT TO:<{user}>\r\nDATA\r\n");
        let mut data = Vec::with_capacity(body.len() + 8);
        data.extend_from_slice(body);
        data.extend_from_slice(if body.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" });
        let begun = Instant::now();
        self.say(envelope.as_bytes())?;
        self.expect("250")?;
        self.expect("250")?;
        self.expect("354")?;
        self.say(&data)?;
        self.expect("250")?;
        Ok(begun.elapsed())
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.writer.write_all(bytes).map_err(|error| format!("LMTP: {error}"))
    }

    /// Reads a reply of one or more lines and looks at its code.
    fn expect(&mut self, code: &str) -> Result<(), String> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).map_err(|error| format!("LMTP: {error}"))?;
            if !line.starts_with(code) {
                return Err(format!("LMTP: {code} expected, the server says {line:?}"));
            }
            if line.as_bytes().get(code.len()) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a server say `replies` to one delivery and gives what the client makes of it and says.
    #[track_caller]
    fn check(replies: &str, good: bool, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("lmtp");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let replies = replies.to_owned();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(replies.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            std::io::read_to_string(stream).unwrap()
        });
        let delivered = Connection::open(&socket)
            .and_then(|mut connection| connection.deliver("anna", b"Subject: x\r\n\r\nhello\r\n"));
        assert_eq!(delivered.is_ok(), good, "{delivered:?}");
        let said = server.join().unwrap();
        assert!(said.ends_with(expected), "{said:?}");
    }

    #[test]
    fn a_message_is_delivered_when_the_last_reply_says_so() {
        let replies = "220 hi\r\n250-vm\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n";
        check(&format!("{replies}250 saved\r\n"), true, "hello\r\n.\r\n");
        check(&format!("{replies}452 full\r\n"), false, "hello\r\n.\r\n");
        check(replies, false, "hello\r\n.\r\n");
    }

    #[test]
    fn a_refused_recipient_is_an_error() {
        check("220 hi\r\n250 vm\r\n250 ok\r\n550 who\r\n", false, "RCPT TO:<anna>\r\nDATA\r\n");
    }
}

//! Makes an RFC 5322 message of an item. The same item gives the same bytes.

use super::address::{one_line, unstructured};
use super::item::{Address, Attachment, Content, Field, Item};
use super::mime::{Part, parameter};
use crate::Flags;
use chrono::DateTime;

/// Messages inside messages are written to this depth.
const DEPTH_MAX: usize = 16;

/// Bits of `PidTagMessageFlags`.
const READ: i32 = 1;
const UNSENT: i32 = 8;

/// The message, and what of the item could not be put into it.
pub(crate) fn message(item: &Item) -> (Vec<u8>, Vec<String>) {
    let mut lost = Vec::new();
    let bytes = nested(item, 0, &mut lost);
    (bytes, lost)
}

/// The flags of an item.
pub(crate) fn flags(item: &Item) -> Flags {
    let mut flags = Flags::NONE;
    let mut set = |wanted: bool, flag| {
        if wanted {
            flags.insert(flag);
        }
    };
    set(item.message_flags & READ != 0, Flags::SEEN);
    set(item.message_flags & UNSENT != 0 && item.is_mail(), Flags::DRAFT);
    set(item.flag_status == 2, Flags::FLAGGED);
    set(matches!(item.last_verb, 102 | 103), Flags::ANSWERED);
    set(item.last_verb == 104, Flags::FORWARDED);
    flags
}

fn nested(item: &Item, depth: usize, lost: &mut Vec<String>) -> Vec<u8> {
    let mut out = Vec::new();
    let came = transport_header(&item.headers);
    out.extend_from_slice(came.as_bytes());
    for (name, value) in own_headers(item) {
        if !value.is_empty() && !has_header(&came, name) {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    let plain = item.plain.as_deref().map(with_crlf);
    let mut parts = Vec::new();
    parts.extend(body(item, plain.as_deref()));
    if let (None, Some(rtf)) = (&item.html, &item.rtf) {
        parts.push(file("body.rtf", "application/rtf", "", rtf));
    }
    if !item.properties.is_empty() {
        let bytes = item.properties.as_bytes();
        parts.push(file("properties.txt", "text/plain; charset=utf-8", "", bytes));
    }
    for (index, attachment) in item.attachments.iter().enumerate() {
        let part = attached(attachment, depth, lost);
        parts.extend(part.map_err(|why| {
            lost.push(format!("attachment {} {:?}: {why}", index + 1, attachment.name));
        }));
    }
    match (parts.len(), parts.pop()) {
        (1, Some(only @ Part::Leaf { .. })) | (1, Some(only @ Part::Several { .. })) => {
            only.write(&mut out);
        }
        (_, Some(last)) => {
            parts.push(last);
            Part::Several { subtype: "mixed", parts }.write(&mut out);
        }
        (_, None) => out.extend_from_slice(b"\r\n"),
    }
    out
}

/// The body: text, HTML, or both as alternatives.
fn body<'a>(item: &'a Item, plain: Option<&'a str>) -> Option<Part<'a>> {
    let plain = plain.map(|text| Part::Leaf {
        content_type: "text/plain; charset=utf-8".to_owned(),
        header: String::new(),
        bytes: text.as_bytes(),
    });
    let html = item.html.as_ref().map(|html| Part::Leaf {
        content_type: match &html.charset {
            Some(charset) => format!("text/html; charset={charset}"),
            None => "text/html".to_owned(),
        },
        header: String::new(),
        bytes: &html.bytes,
    });
    match (plain, html) {
        (Some(plain), Some(html)) => {
            Some(Part::Several { subtype: "alternative", parts: vec![plain, html] })
        }
        (plain, html) => plain.or(html),
    }
}

fn attached<'a>(
    attachment: &'a Attachment,
    depth: usize,
    lost: &mut Vec<String>,
) -> Result<Part<'a>, String> {
    let Attachment { name, mime_type, content_id, content } = attachment;
    match content {
        Content::Bytes(bytes) => Ok(file(name, mime_type, content_id, bytes)),
        Content::Item(item) if depth < DEPTH_MAX => Ok(Part::Message {
            header: disposition(name, content_id),
            bytes: nested(item, depth + 1, lost),
        }),
        Content::Item(_) => Err(format!("messages lie in messages more than {DEPTH_MAX} deep")),
        Content::Missing(why) => Err(why.clone()),
    }
}

fn file<'a>(name: &str, mime_type: &str, content_id: &str, bytes: &'a [u8]) -> Part<'a> {
    let fits = is_mime_type(mime_type);
    let mime_type = if fits { mime_type } else { "application/octet-stream" };
    let header = disposition(name, content_id);
    Part::Leaf { content_type: mime_type.to_owned(), header, bytes }
}

/// Whether a type can be written: `type/subtype`, perhaps our own parameter; nothing that holds
/// other parts, because the bytes are those of a file.
fn is_mime_type(text: &str) -> bool {
    let (name, rest) = text.split_once(';').unwrap_or((text, ""));
    let token = |part: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !part.is_empty() && part.len() < 100 && part.bytes().all(sign)
    };
    let lower = name.to_ascii_lowercase();
    let compound = lower.starts_with("multipart/") || lower.starts_with("message/");
    let known = rest.is_empty() || rest == " charset=utf-8";
    known && !compound && name.split_once('/').is_some_and(|(one, two)| token(one) && token(two))
}

fn disposition(name: &str, content_id: &str) -> String {
    let id = one_line(content_id);
    let id = id.trim_matches(['<', '>', ' ']);
    let id_fits = !id.is_empty() && id.len() < 500 && id.bytes().all(|b| b.is_ascii_graphic());
    let (kind, id) = match id_fits {
        true => ("inline", format!("Content-ID: <{id}>\r\n")),
        false => ("attachment", String::new()),
    };
    let name = if name.is_empty() { String::new() } else { parameter(";\r\n filename", name) };
    format!("Content-Disposition: {kind}{name}\r\n{id}")
}

/// The header that came over the Internet, without what says how the body was written then.
fn transport_header(text: &str) -> String {
    let (mut header, mut keeps) = (String::new(), false);
    for line in text.split('\n').map(|line| line.trim_end_matches(['\r', '\0'])) {
        let folded = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if !folded {
            let name = line.split_once(':').map(|(name, _)| name).filter(|name| is_name(name));
            let lower = name.map(str::to_ascii_lowercase);
            keeps =
                lower.is_some_and(|name| !name.starts_with("content-") && name != "mime-version");
        }
        if keeps {
            header.extend(line.chars().filter(|one| *one == '\t' || !one.is_control()));
            header.push_str("\r\n");
        }
    }
    header
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn has_header(header: &str, name: &str) -> bool {
    let named = |line: &str| {
        line.split_once(':').is_some_and(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    header.split("\r\n").any(named)
}

/// The headers that the item's properties give.
fn own_headers(item: &Item) -> Vec<(&'static str, String)> {
    let to = |field| {
        let all =
            item.recipients.iter().filter(|(where_, one)| *where_ == field && !one.is_empty());
        all.map(|(_, address)| address.to_header()).collect::<Vec<_>>().join(",\r\n ")
    };
    let from = |one: &Address| if one.is_empty() { String::new() } else { one.to_header() };
    let sender = if item.sender == item.from { String::new() } else { from(&item.sender) };
    let class = if item.is_mail() { String::new() } else { unstructured(&item.class) };
    vec![
        ("Date", item.sent_seconds.or(item.delivered_seconds).and_then(date).unwrap_or_default()),
        ("From", from(&item.from)),
        ("Sender", sender),
        ("To", to(Field::To)),
        ("Cc", to(Field::Cc)),
        ("Bcc", to(Field::Bcc)),
        ("Subject", unstructured(&item.subject)),
        ("Message-ID", one_line(&item.message_id)),
        ("In-Reply-To", one_line(&item.in_reply_to)),
        ("References", one_line(&item.references)),
        ("X-Outlook-Class", class),
    ]
}

fn date(seconds: i64) -> Option<String> {
    let time = DateTime::from_timestamp(seconds, 0)?;
    Some(time.format("%a, %d %b %Y %H:%M:%S +0000").to_string())
}

/// A text with CR LF at the end of each line.
fn with_crlf(text: &str) -> String {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\r\n")
}

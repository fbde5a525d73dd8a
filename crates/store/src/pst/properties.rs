//! Makes an item of its properties (MS-OXPROPS) and tables.

use super::item::{Address, Attachment, Content, Field, Html, Item, is_mail};
use super::source::Opened;
use super::value::{bytes, charset, from_bytes, number, seconds, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outlook_pst::ltp::prop_context::PropertyValue;
use outlook_pst::ltp::table_context::TableContext;
use outlook_pst::messaging::attachment::{AttachmentData, AttachmentProperties};
use outlook_pst::messaging::message::{Message, MessageProperties};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// Longer values of the properties of an item that is no mail are stated by their length.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// The value of `PidTagAttachMethod` for a message. The library waits for itself for ever when it
/// is asked to read one.
const EMBEDDED: i32 = 5;

/// Properties that stand in the message otherwise: subject, header, bodies.
const WRITTEN: [u16; 5] = [0x0037, 0x007D, 0x1000, 0x1009, 0x1013];

/// Reads an item with its tables and attachments.
pub(super) fn item(opened: &Opened) -> io::Result<Item> {
    let message = opened.message();
    let mut item = from_properties(message);
    let Some(table) = message.attachment_table() else { return Ok(item) };
    for (node, values) in rows(&**table)? {
        if values.get(&0x3705).and_then(number) == Some(EMBEDDED) {
            item.attachments.push(out_of_reach(&values));
            continue;
        }
        let read = opened.attachment(node, attachment);
        item.attachments.push(read.unwrap_or_else(|error| Attachment {
            name: String::new(),
            mime_type: String::new(),
            content_id: String::new(),
            content: Content::Missing(error.to_string()),
        }));
    }
    Ok(item)
}

/// The item without its attachments.
fn from_properties(message: &dyn Message) -> Item {
    let all = message.properties();
    let string = |id| all.get(id).and_then(text).unwrap_or_default();
    let integer = |id| all.get(id).and_then(number).unwrap_or_default();
    let time = |id| all.get(id).and_then(seconds);
    let from = address(&[0x5D02, 0x0065], 0x0042, &string);
    let sender = address(&[0x5D01, 0x0C1F], 0x0C1A, &string);
    let class = string(0x001A);
    let properties = if is_mail(&class) { String::new() } else { list(all) };
    let sent_seconds = time(0x0039);
    let any_time = [0x3007, 0x3008].into_iter().find_map(time);
    Item {
        headers: string(0x007D),
        subject: subject(&string(0x0037)),
        from: if from.address.is_empty() { sender.clone() } else { from },
        sender,
        recipients: message.recipient_table().map(|table| recipients(&**table)).unwrap_or_default(),
        sent_seconds,
        delivered_seconds: time(0x0E06).or(sent_seconds).or(any_time),
        message_id: string(0x1035),
        in_reply_to: string(0x1042),
        references: string(0x1039),
        plain: all.get(0x1000).and_then(text).filter(|text| !text.is_empty()),
        html: html(all),
        rtf: all.get(0x1009).and_then(bytes).map(rtf),
        message_flags: integer(0x0E07),
        flag_status: integer(0x1090),
        last_verb: integer(0x1081),
        attachments: Vec::new(),
        properties,
        class,
    }
}

fn address(addresses: &[u16], name: u16, string: &dyn Fn(u16) -> String) -> Address {
    let all = addresses.iter().map(|id| string(*id));
    let address = all.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    Address { name: string(name), address }
}

/// A subject without the two characters that say how long its prefix is (MS-PST, 2.5.3.1.1.1).
fn subject(text: &str) -> String {
    let mut characters = text.chars();
    let text = match characters.next() {
        Some('\u{1}') => {
            characters.next();
            characters.as_str()
        }
        _ => text,
    };
    text.to_owned()
}

fn html(all: &MessageProperties) -> Option<Html> {
    let found = match all.get(0x1013)? {
        value @ PropertyValue::Unicode(_) => {
            let bytes = text(value)?.into_bytes();
            Html { bytes, charset: Some("utf-8".to_owned()) }
        }
        value => {
            let code_page = [0x3FDE, 0x3FFD].into_iter().find_map(|id| number(all.get(id)?));
            Html { bytes: bytes(value)?.to_vec(), charset: code_page.and_then(charset) }
        }
    };
    (!found.bytes.is_empty()).then_some(found)
}

/// RTF out of its compressed form (MS-OXRTFCP); what cannot be read stays as it is.
fn rtf(compressed: &[u8]) -> Vec<u8> {
    let text = compressed_rtf::decompress_rtf(compressed);
    let latin = |text: String| text.chars().map(|one| u8::try_from(one).unwrap_or(b'?')).collect();
    text.map_or_else(|_| compressed.to_vec(), latin)
}

/// The rows of a table: node and properties, by node.
pub(super) fn rows(
    table: &dyn TableContext,
) -> io::Result<Vec<(u32, BTreeMap<u16, PropertyValue>)>> {
    let context = table.context();
    let mut rows = Vec::new();
    for row in table.rows_matrix() {
        let mut values = BTreeMap::new();
        for (column, value) in context.columns().iter().zip(row.columns(context)?) {
            let read = value.map(|value| table.read_column(&value, column.prop_type()));
            if let Some(Ok(value)) = read {
                values.insert(column.prop_id(), value);
            }
        }
        rows.push((u32::from(row.id()), values));
    }
    Ok(rows)
}

fn recipients(table: &dyn TableContext) -> Vec<(Field, Address)> {
    let Ok(rows) = rows(table) else { return Vec::new() };
    let recipient = |(_, values): (u32, BTreeMap<u16, PropertyValue>)| {
        let string = |id| values.get(&id).and_then(text).unwrap_or_default();
        let field = match values.get(&0x0C15).and_then(number) {
            Some(2) => Field::Cc,
            Some(3) => Field::Bcc,
            _ => Field::To,
        };
        (field, address(&[0x39FE, 0x3003], 0x3001, &string))
    };
    rows.into_iter().map(recipient).collect()
}

fn attachment(all: &AttachmentProperties, data: Option<&AttachmentData>) -> Attachment {
    let string = |id| all.get(id).and_then(text).unwrap_or_default();
    let first = |ids: &[u16]| {
        ids.iter().map(|id| string(*id)).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let content = match data {
        Some(AttachmentData::Binary(bytes)) => Content::Bytes(bytes.buffer().to_vec()),
        Some(AttachmentData::Message(message)) => {
            let mut item = from_properties(&**message);
            let table = message.attachment_table();
            let more = table.and_then(|table| rows(&**table).ok()).unwrap_or_default();
            item.attachments.extend(more.iter().map(|(_, values)| out_of_reach(values)));
            Content::Item(Box::new(item))
        }
        None => {
            let path = first(&[0x370D, 0x3708]);
            Content::Missing(format!("the file has only a reference to it: {path:?}"))
        }
    };
    Attachment {
        name: first(&[0x3707, 0x3704, 0x3001]),
        mime_type: string(0x370E),
        content_id: string(0x3712),
        content,
    }
}

/// An attachment of a message that is itself attached.
fn out_of_reach(values: &BTreeMap<u16, PropertyValue>) -> Attachment {
    let name = [0x3707, 0x3704].into_iter().find_map(|id| text(values.get(&id)?));
    Attachment {
        name: name.unwrap_or_default(),
        mime_type: String::new(),
        content_id: String::new(),
        content: Content::Missing(
            "it belongs to a message that is itself attached, and such are not read; save that \
             message out of Outlook and import it"
                .to_owned(),
        ),
    }
}

/// Every property of an item, a line each: number, kind, value.
fn list(all: &MessageProperties) -> String {
    let mut list = String::new();
    for (id, value) in all.iter().filter(|(id, _)| !WRITTEN.contains(id)) {
        let shown = match value {
            PropertyValue::Binary(bytes) if bytes.buffer().len() <= VALUE_BYTES_MAX => {
                format!("bytes {}", STANDARD.encode(bytes.buffer()))
            }
            PropertyValue::Binary(bytes) => format!("{} bytes", bytes.buffer().len()),
            PropertyValue::String8(text) => format!("text {:?}", from_bytes(text.buffer())),
            PropertyValue::Unicode(_) => format!("text {:?}", text(value).unwrap_or_default()),
            other => format!("{other:?}"),
        };
        write!(list, "{id:#06X} {shown}\r\n").expect("a string takes everything");
    }
    list
}

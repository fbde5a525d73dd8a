//! What an item of an Outlook file says, apart from how the file says it.

/// An address with the name shown for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// The name shown; may be empty.
    pub name: String,
    /// The address: of the Internet if it holds `@`, else of a directory; may be empty.
    pub address: String,
}

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// `To`.
    To,
    /// `Cc`.
    Cc,
    /// `Bcc`.
    Bcc,
}

/// A body in HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their charset, if it is known.
    pub charset: Option<String>,
}

/// An attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its name; may be empty.
    pub name: String,
    /// Its type, as `type/subtype`; may be anything.
    pub mime_type: String,
    /// What the HTML body calls it.
    pub content_id: String,
    /// What it is.
    pub content: Content,
}

/// What an attachment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file.
    Bytes(Vec<u8>),
    /// Another item.
    Item(Box<Item>),
    /// Nothing that is in the file; why.
    Missing(String),
}

/// An item: a message, a contact, an appointment, whatever its class says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its class, such as `IPM.Note`.
    pub class: String,
    /// The header with which it came over the Internet.
    pub headers: String,
    /// Its subject.
    pub subject: String,
    /// Who wrote it.
    pub from: Address,
    /// Who sent it, if that is another.
    pub sender: Address,
    /// Who got it.
    pub recipients: Vec<(Field, Address)>,
    /// When it was sent, in seconds since 1970.
    pub sent_seconds: Option<i64>,
    /// When it was delivered, else sent, else made.
    pub delivered_seconds: Option<i64>,
    /// `Message-ID`, with its brackets.
    pub message_id: String,
    /// `In-Reply-To`.
    pub in_reply_to: String,
    /// `References`.
    pub references: String,
    /// The body as text.
    pub plain: Option<String>,
    /// The body in HTML.
    pub html: Option<Html>,
    /// The body in RTF.
    pub rtf: Option<Vec<u8>>,
    /// The bits of `PidTagMessageFlags`.
    pub message_flags: i32,
    /// `PidTagFlagStatus`: 2 is flagged.
    pub flag_status: i32,
    /// `PidTagLastVerbExecuted`: 102 and 103 replied, 104 passed on.
    pub last_verb: i32,
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// For an item that is no mail: all its properties, a line each.
    pub properties: String,
}

impl Item {
    /// Whether the class is one of mail; others carry most of what they say in properties.
    pub(crate) fn is_mail(&self) -> bool {
        is_mail(&self.class)
    }
}

/// Whether a class is one of mail.
pub(crate) fn is_mail(class: &str) -> bool {
    let class = class.to_ascii_lowercase();
    let mail = ["ipm.note", "report.ipm", "ipm.schedule.meeting"];
    mail.iter().any(|start| class.starts_with(start))
}

//! Valid inputs of each target, from which a fuzzer begins.

use crate::identity::Identity;
use crate::record;
use crate::settings::StoreSettings;
use crate::transfer::{Begin, Frame, FrameWriter, TRANSFER_VERSION};
use rehome_log::Lsn;

/// Valid inputs of the target of that name; one empty input if there are none.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "segment" => {
            let bodies: [&[u8]; 3] = [b"", b"A: b\n\nhi", &[7; 300]];
            let mut all: Vec<_> = bodies.iter().map(|body| record::encode(body).bytes).collect();
            all.push(all.concat());
            all
        }
        "transfer" => vec![stream(), framed()],
        "mbox" => texts(&[
            "From a@b Thu Aug 22 12:36:23 2002\nSubject: x\n\n>From me\n\n\
             From c Thu Aug 22 12:36:24 2002\ntwo\n",
            "From a Thu Aug 22 12:36:23 +0200 2002\r\nContent-Length: 5\r\n\r\nx\r\n\r\n\r\n",
        ]),
        "maildir" => texts(&[
            "1.M2P3.host,S=5,W=6:2,FRSab",
            ".Entw&APw-rfe\n.A.B\n.INBOX\n.A..B\n",
            "3 V1234 N50 Gabc\n7 :z\n8 W5 :b:2,\n40 :a\n",
            "1 1234 50\n7 a\n",
            "0 Work\n25 z\n",
            "V\t2\n\nA\tB\nSent\n",
            "%bytes:a%FF",
        ]),
        "pst" => texts(&["Anna\u{1F}a@b\u{1F}\u{1F}/O=X\u{1F}Ben\u{1F}b@c\u{1F}IPM.Contact\u{1F}\
             Received: x\r\n\ty\r\nContent-Type: a\u{1F}Grüße\u{1F}<1@x>\u{1F}text\u{1F}<p>\u{1F}\
             a.txt\u{1F}text/plain\u{1F}cid\u{1F}data"]),
        "settings" => {
            let identity = serde_json::to_vec(&Identity::new([7; 16]));
            let settings = serde_json::to_vec(&StoreSettings::default());
            vec![
                identity.expect("an identity is plain text"),
                settings.expect("settings are plain text"),
            ]
        }
        _ => vec![Vec::new()],
    }
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn begin() -> Begin {
    Begin { version: TRANSFER_VERSION, store_id: [5; 16], lsn: Lsn::new(3, 4096) }
}

/// A whole stream.
fn stream() -> Vec<u8> {
    let mut writer = FrameWriter::new(Vec::new());
    writer.write(&Frame::Begin(begin())).expect("memory takes everything");
    writer.finish().expect("memory takes everything")
}

/// Kinds and payloads, apart by 0xFF.
fn framed() -> Vec<u8> {
    let begin = postcard::to_stdvec(&begin()).expect("memory takes everything");
    let mut all = vec![1];
    all.extend(begin);
    for kind in 2..=6 {
        all.extend([0xFF, kind]);
        all.extend([0; 12]);
    }
    all
}

//! Fields and items of record payloads: little-endian numbers, counted texts, tagged items.

/// Records and sections begin at multiples of this.
pub(crate) const GRID: u64 = 64;

/// The bytes are not what the format says; the text names the field.
pub(crate) type Malformed = &'static str;

pub(crate) fn put_u16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

/// A length that the caller has bounded far below 4 GiB.
pub(crate) fn put_len(to: &mut Vec<u8>, len: usize) {
    put_u32(to, u32::try_from(len).expect("payloads are bounded far below 4 GiB"));
}

pub(crate) fn put_text(to: &mut Vec<u8>, text: &str) {
    put_len(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Appends the item `tag` whose body `fill` writes.
pub(crate) fn put_item(to: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    to.push(tag);
    let len_at = to.len();
    put_u32(to, 0);
    fill(to);
    let len = u32::try_from(to.len() - len_at - 4).expect("payloads are bounded far below 4 GiB");
    to[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
}

/// Takes fields off the front of a payload.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or("a field is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("a yes-or-no field holds another value"),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn len(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.u32()?).map_err(|_| "a length is out of range")
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let len = self.len()?;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a text is not UTF-8")
    }

    /// The next item: its tag and its body.
    pub(crate) fn item(&mut self) -> Result<(u8, Fields<'a>), Malformed> {
        let tag = self.u8()?;
        let len = self.len()?;
        Ok((tag, Fields(self.bytes(len)?)))
    }
}

//! A header map as the host hands it over in one piece, parsed in place.
//!
//! One read of the whole map costs what one read of a single header costs, because what a call to the
//! host costs is the call. So a message is read once, and everything that is asked about it borrows
//! from those bytes.
//!
//! The form is the ABI's: the number of pairs, then the lengths of each name and value, then names and
//! values themselves, each ended by a zero
//! ([Proxy-Wasm ABI 0.2.1](https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1)).

/// The headers of one message, pseudo headers included. Names are lower-case, as Envoy keeps them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'b> {
    lengths: &'b [u8],
    pairs: &'b [u8],
}

/// What a length takes in the map.
const LENGTH: usize = 4;

impl<'b> Headers<'b> {
    /// The headers in these bytes. Any bytes are allowed: what is not a pair ends the map.
    #[must_use]
    pub fn new(map: &'b [u8]) -> Self {
        let Some((count, rest)) = split_length(map) else {
            return Self::default();
        };
        let (lengths, pairs) = count
            .checked_mul(2 * LENGTH)
            .and_then(|size| rest.split_at_checked(size))
            .unwrap_or_default();
        Self { lengths, pairs }
    }

    /// The first value of a header.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'b [u8]> {
        self.every(name).next()
    }

    /// All values of a header, in the order of its lines.
    pub fn every(self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.filter(move |(key, _)| *key == name.as_bytes())
            .map(|(_, value)| value)
    }
}

/// Name and value of each header line, in order.
impl<'b> Iterator for Headers<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_length, lengths) = split_length(self.lengths)?;
        let (value_length, lengths) = split_length(lengths)?;
        let (name, pairs) = split_text(self.pairs, name_length)?;
        let (value, pairs) = split_text(pairs, value_length)?;
        *self = Self { lengths, pairs };
        Some((name, value))
    }
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

/// Text of this length, and what follows the zero behind it.
fn split_text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.get(1..)?))
}

/// A map of these headers, as the host takes it.
#[must_use]
pub fn serialize<N: AsRef<[u8]>, V: AsRef<[u8]>>(headers: &[(N, V)]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
    let mut map = u32::try_from(headers.len())
        .unwrap_or_default()
        .to_le_bytes()
        .to_vec();
    for (name, value) in headers {
        map.extend(length(name.as_ref()));
        map.extend(length(value.as_ref()));
    }
    for text in headers
        .iter()
        .flat_map(|(name, value)| [name.as_ref(), value.as_ref()])
    {
        map.extend_from_slice(text);
        map.push(0);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [(&str, &[u8]); 4] = [
        (":path", b"/"),
        ("cookie", b"a=1"),
        ("x-empty", b""),
        ("cookie", b"\xff\0\r\n"),
    ];

    #[test]
    fn a_map_is_read_as_it_was_written() {
        let map = serialize(&SENT);
        let headers = Headers::new(&map);
        assert!(headers.eq(SENT.map(|(name, value)| (name.as_bytes(), value))));
        assert_eq!(headers.first("cookie"), Some(&b"a=1"[..]));
        assert_eq!(headers.every("cookie").count(), 2);
        assert_eq!(headers.first("x-empty"), Some(&b""[..]));
        assert_eq!(headers.first("cook"), None);
    }

    #[test]
    fn a_map_that_is_cut_off_or_lies_about_its_lengths_ends_early() {
        let map = serialize(&SENT);
        for end in 0..map.len() {
            assert!(Headers::new(map.get(..end).unwrap_or_default()).count() < SENT.len());
        }
        for at in 0..map.len() {
            let mut wrong = map.clone();
            if let Some(byte) = wrong.get_mut(at) {
                *byte = 0xff;
            }
            assert!(Headers::new(&wrong).count() <= SENT.len());
        }
    }
}

//! Random texts as AWS makes them: identifiers, keys, tokens.

/// Of access keys and role identifiers.
pub(crate) const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Of secret keys and session tokens.
pub(crate) const BASE64: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `prefix`, and after it random characters of `alphabet`, `length` in all.
pub(crate) fn text<const N: usize>(prefix: &str, alphabet: &[u8; N], length: usize) -> String {
    let mut text = prefix.to_owned();
    while text.len() < length {
        let index = usize::from(rand::random::<u8>()) % N;
        text.extend(alphabet.get(index).copied().map(char::from));
    }
    text
}

/// A request's identifier, in the form of a UUID.
pub(crate) fn request_id() -> String {
    let [high, low] = rand::random::<[u64; 2]>();
    let fields = (high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48);
    let node = low & 0xffff_ffff_ffff;
    let (a, b, c, d) = fields;
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{node:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_prefix_its_length_and_nothing_foreign() {
        let text = text("ASIA", BASE32, 20);
        assert_eq!(text.len(), 20);
        assert!(text.starts_with("ASIA"));
        assert!(text.bytes().all(|byte| BASE32.contains(&byte)), "{text}");
    }

    #[test]
    fn a_request_id_looks_like_a_uuid() {
        let id = request_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_ne!(id, request_id());
    }
}

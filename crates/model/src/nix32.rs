//! Nix's base 32: digits and lower-case letters without `e`, `o`, `t` and `u`, least significant
//! first.

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Whether a character is a digit.
pub(crate) fn is_digit(c: char) -> bool {
    c.is_ascii() && DIGITS.contains(&(c as u8))
}

/// How many digits `bytes` bytes take.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Encodes bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digit = |n: usize| {
        let bit = n * 5;
        let (at, shift) = (bit / 8, bit % 8);
        let low = bytes[at] >> shift;
        let high = match bytes.get(at + 1) {
            Some(next) if shift > 3 => next << (8 - shift),
            _ => 0,
        };
        char::from(DIGITS[usize::from((low | high) & 31)])
    };
    (0..encoded_len(bytes.len())).rev().map(digit).collect()
}

/// Decodes a text into as many bytes as it must stand for; `None` when it has other characters or
/// bits that stand for nothing.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let len = text.len() * 5 / 8;
    if encoded_len(len) != text.len() {
        return None;
    }
    let mut bytes = vec![0_u8; len];
    for (n, digit) in text.iter().rev().enumerate() {
        let value = DIGITS.iter().position(|known| known == digit)? as u8;
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        bytes[at] |= value << shift;
        let rest = if shift > 3 { value >> (8 - shift) } else { 0 };
        match bytes.get_mut(at + 1) {
            Some(next) => *next |= rest,
            None if rest != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_nix_does() {
        // From `nix hash convert --to nix32` of the SHA-256 of nothing.
        let empty = crate::Hash::of(crate::HashKind::Sha256, b"");
        assert_eq!(encode(empty.bytes()), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73");
    }

    #[test]
    fn decoding_undoes_encoding() {
        for len in 0..70 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(len).collect();
            assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
        }
        assert_eq!(decode(b"e"), None);
        assert_eq!(decode(b"zz"), None);
    }
}

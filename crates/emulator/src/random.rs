//! Identifiers and secrets that cannot be guessed.

use std::fmt::Write;

use super::error::ApiError;

/// A secret or token: two runs of hexadecimal digits, with characters between them that base64 and URLs write in another
/// way (they are those of RFC 6750's tokens), so that a scan for its forms has something to find.
pub(super) fn secret() -> Result<String, ApiError> {
    Ok(format!("{}/~{}", hex(16)?, hex(16)?))
}

/// `bytes` random bytes in hexadecimal: twice as many characters, all of them safe in a URL.
pub(super) fn hex(bytes: usize) -> Result<String, ApiError> {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).map_err(|_| ApiError::no_randomness())?;
    let mut text = String::with_capacity(2 * bytes);
    for byte in buffer {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A random number below `limit`; 0 where the system gives no random bytes.
pub(super) fn below(limit: u32) -> u32 {
    let mut buffer = [0; 4];
    if aws_lc_rs::rand::fill(&mut buffer).is_err() {
        return 0;
    }
    u32::from_le_bytes(buffer) % limit.max(1)
}

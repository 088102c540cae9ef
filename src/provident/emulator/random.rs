//! Identifiers and secrets that nobody can guess.

use std::fmt::Write;

use super::error::ApiError;

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

//! Identifiers and secrets that nobody can guess.

use super::error::ApiError;

/// `bytes` random bytes in hexadecimal: twice as many characters, all of them safe in a URL.
pub(super) fn hex(bytes: usize) -> Result<String, ApiError> {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).map_err(|_| ApiError::no_randomness())?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

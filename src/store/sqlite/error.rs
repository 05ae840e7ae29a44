//! What SQLite's errors mean to the store's callers. No error is invented here.

use super::super::StoreError;
use rusqlite::ErrorCode;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(error.to_string())
            }
            Some(ErrorCode::DiskFull) => {
                StoreError::Unavailable(format!("{error}; free some space"))
            }
            Some(_) => StoreError::Unavailable(error.to_string()),
            // Not SQLite but the conversion of a value failed: the value is not of the type that was written.
            None => StoreError::Damaged(error.to_string()),
        }
    }
}

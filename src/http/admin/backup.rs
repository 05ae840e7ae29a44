//! A copy of the log while it is in use, under a name that an administrator chooses. How it is made is the store's.

use crate::{
    http::{
        App, BODY_MAX,
        auth::Admin,
        body::Body,
        error::Failure,
        openapi::{Guarded, NotMade, Operating, WithBody},
    },
    store::Backup,
    wire::{
        admin::{BackupMade, MakeBackup},
        problem::ErrorCode,
    },
};
use actix_web::{HttpResponse, web::Data};

const NAME_MAX: usize = 100;

/// Copy the log while it is in use; the answer comes when the copy is on disk
#[utoipa::path(post, path = "/admin/backup", tag = "admin", request_body = MakeBackup,
    responses((status = 201, description = "The copy is on disk", body = BackupMade),
        Guarded, Operating, WithBody, NotMade))]
pub(super) async fn make(
    admin: Admin,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let MakeBackup { name } = body.json(BODY_MAX).await?;
    if !is_file_name(&name) {
        return Err(Failure::invalid_body(format!(
            "name: must be a file name of 1 to {NAME_MAX} letters, digits, dots, dashes and underscores that begins with no dot"
        )));
    }
    let config = app.config.now();
    let Some(folder) = &config.store.backup_dir else {
        let detail =
            "there is no place for backups; set store.backup_dir and reload the configuration";
        return Err(Failure::new(ErrorCode::NotConfigured, detail));
    };
    match app.log.backup(folder.join(&name)).await? {
        Backup::Made { bytes } => {
            log::info!(by = &*admin.name, name, bytes; "a backup was made");
            Ok(HttpResponse::Created().json(BackupMade { name, bytes }))
        }
        Backup::Exists => Err(Failure::new(
            ErrorCode::Conflict,
            format!("there is a backup `{name}` already; choose another name"),
        )),
    }
}

fn is_file_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder_and_is_no_hidden_file() {
        for name in ["a", "2026-11-26.db", "a..b", &"x".repeat(100)] {
            assert!(is_file_name(name), "{name}");
        }
        for name in
            ["", ".", "..", ".hidden", "a/b", "../a", "/a", "a b", "ü", "a\0", &"x".repeat(101)]
        {
            assert!(!is_file_name(name), "{name}");
        }
    }
}

//! Where the result of a statement lies, and whose it is by that.

use alluvium_core::ports::OwnerKey;
use aws_sdk_athena::types::{EncryptionConfiguration, EncryptionOption, QueryExecution, ResultConfiguration};

use crate::s3::LakeUrl;

/// The folder of what nobody in particular started. No key of an owner is called so.
const NOBODYS: &str = "records";

/// Where Athena shall put the result of a statement of this owner, and how it encrypts it.
pub(super) fn of(results: &LakeUrl, owner: Option<&str>) -> ResultConfiguration {
    let key = owner.map(OwnerKey::of);
    let folder = key.as_ref().map_or(NOBODYS, OwnerKey::as_str);
    let encryption = EncryptionConfiguration::builder().encryption_option(EncryptionOption::SseS3).build();
    ResultConfiguration::builder()
        .output_location(format!("{results}/{folder}/"))
        .encryption_configuration(encryption.expect("it has its option"))
        .build()
}

/// Where Athena says that a result lies.
pub(super) fn of_result(execution: &QueryExecution) -> Option<&str> {
    execution.result_configuration()?.output_location()
}

/// Whose a result is that lies there; `None`: it is not one of these.
pub(super) fn owner(results: &LakeUrl, location: &str) -> Option<OwnerKey> {
    let root = format!("{results}/");
    let (folder, name) = location.strip_prefix(&root)?.split_once('/')?;
    (!folder.is_empty() && !name.contains('/')).then(|| OwnerKey::read(folder))
}

/// Whether a result there is of what nobody in particular started.
pub(super) fn is_nobodys(owner: &OwnerKey) -> bool {
    owner.as_str() == NOBODYS
}

/// Bucket and key of a result that lies there.
pub(super) fn object(location: &str) -> Option<(&str, &str)> {
    location.strip_prefix("s3://")?.split_once('/')
}

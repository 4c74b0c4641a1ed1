//! The SDKs' shared files, `~/.aws/credentials` and `~/.aws/config`: SDKs prefer credentials that
//! stand in their default profile to the container endpoint.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Keys of a profile that say where credentials come from.
const CREDENTIALS: [&str; 9] = [
    "aws_access_key_id",
    "credential_process",
    "credential_source",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
    "login_session",
];

/// An absent file, as SDKs see it.
const NOWHERE: &str = "/dev/null";

/// Variables that hide those of the files whose default profile has credentials. Others stay:
/// they say regions and endpoints.
pub(super) fn hidden(present: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let home = present("HOME").map(PathBuf::from);
    [
        ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        ("AWS_CONFIG_FILE", ".aws/config"),
    ]
    .into_iter()
    .filter(|(variable, usual)| {
        let named = present(variable).map(PathBuf::from);
        let file = named.or_else(|| Some(home.as_ref()?.join(usual)));
        file.is_some_and(|file| has_default_credentials(&file))
    })
    .map(|(variable, _)| (variable, OsString::from(NOWHERE)))
    .collect()
}

fn has_default_credentials(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| default_profile_has_credentials(&text))
}

fn default_profile_has_credentials(text: &str) -> bool {
    let mut in_default = false;
    text.lines().any(|line| {
        if let Some(section) = line.strip_prefix('[') {
            let name = section.split(']').next().unwrap_or_default();
            let words: Vec<&str> = name.split_whitespace().collect();
            in_default = matches!(words.as_slice(), ["default"] | ["profile", "default"]);
            return false;
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        in_default && CREDENTIALS.contains(&key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_profiles_with_credentials_are_found() {
        for text in [
            "[default]\naws_access_key_id = AKIA\n",
            "[profile x]\nregion=a\n[ default ]\nregion=b\ncredential_process=c\n",
            "[profile default]\nsso_session = corp\n",
        ] {
            assert!(default_profile_has_credentials(text), "{text}");
        }
        for text in [
            "",
            "[default]\nregion = eu-central-1\n",
            "[work]\naws_access_key_id = AKIA\n",
            "[default]\nregion = a\n[profile work]\nrole_arn = b\n",
            "[default]\n# aws_access_key_id = AKIA\n",
        ] {
            assert!(!default_profile_has_credentials(text), "{text}");
        }
    }

    #[test]
    fn only_files_with_credentials_are_hidden() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        fs::create_dir(&folder).unwrap();
        fs::write(
            folder.join("credentials"),
            "[default]\naws_access_key_id=A\n",
        )
        .unwrap();
        fs::write(folder.join("config"), "[default]\nregion=b\n").unwrap();
        let at_home = |name: &str| (name == "HOME").then(|| home.path().as_os_str().to_owned());
        let expected = [("AWS_SHARED_CREDENTIALS_FILE", OsString::from(NOWHERE))];
        assert_eq!(hidden(at_home), expected);
        assert_eq!(hidden(|_| None), []);
    }
}

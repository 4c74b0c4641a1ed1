//! What AWS Federation Proxy's configuration means here.

use super::toml::{Toml, key, text};
use super::yaml::Node;
use crate::grants::Pattern;
use crate::types::{AccountAlias, AccountId, RoleName};

/// Keys of the application's configuration that have an equivalent, or need none.
const CARRIED: [&str; 19] = [
    "api.user_identification.environment_field",
    "aws.access_key",
    "aws.secret_key",
    "provider.module",
    "provider.class",
    "provider.regex",
    "provider.allowed_domains",
    "provider.account_name",
    "provider.role_prefix",
    "provider.ldap_uri",
    "provider.ldap_base_users",
    "provider.ldap_base_groups",
    "provider.ldap_bind_dn",
    "provider.ldap_bind_password",
    "logging_handler.module",
    "logging_handler.class",
    "logging_handler.args",
    "logging_handler.kwargs",
    "log_level",
];

/// Who gives roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider<'a> {
    /// The names of system groups.
    Groups,
    /// The names of a directory's groups.
    Directory,
    /// The name of a host.
    Host,
    /// A program of the site's own, or of AFP's tests.
    Other(&'a str),
}

impl<'a> Provider<'a> {
    fn of(application: &'a Node) -> Self {
        let module = application
            .get("provider")
            .and_then(|provider| provider.text("module"))
            .unwrap_or_default();
        match module.rsplit('.').next() {
            Some("grp_provider" | "sssd_provider") => Self::Groups,
            Some("ldap_provider") => Self::Directory,
            Some("provider_by_ip") => Self::Host,
            Some(_) | None => Self::Other(module),
        }
    }
}

/// The configuration that is equivalent.
pub(super) fn configuration(application: &Node, accounts: &Node) -> String {
    let provider = Provider::of(application);
    let mut toml = Toml::default();
    toml.comment("Made of an AWS Federation Proxy's configuration by `rolecall import afp`.");
    listener(&mut toml, application, provider);
    people(&mut toml, application, provider);
    self::accounts(&mut toml, application, accounts);
    grants(&mut toml, application, provider);
    log(&mut toml, application);
    toml.table("[state]");
    toml.pair("directory", "\"/var/lib/rolecall\"");
    left(&mut toml, application);
    toml.finish()
}

fn is_machine(application: &Node, provider: Provider<'_>) -> bool {
    let field = application
        .get("api")
        .and_then(|api| api.get("user_identification"))
        .and_then(|user| user.text("environment_field"));
    match field {
        Some(field) => field == "REMOTE_ADDR",
        None => provider == Provider::Host,
    }
}

fn listener(toml: &mut Toml, application: &Node, provider: Provider<'_>) {
    toml.blank();
    toml.comment(
        "AFP stood behind a web server, which had the address, the certificate and the path. \
         Another address than loopback needs `tls` and `peers` here, or a proxy before it.",
    );
    toml.line("[[listener]]");
    toml.pair("name", "\"api\"");
    toml.pair("bind", "\"127.0.0.1:8169\"");
    toml.pair("apis", "\"accounts\"");
    if is_machine(application, provider) {
        toml.blank();
        toml.comment(
            "For machines, by REMOTE_ADDR. AFP's mount was below a path of the web server's: \
             write that one.",
        );
        toml.line("[[listener.mount]]");
        toml.pair("prefix", "\"/\"");
        toml.pair("machine", "true");
    } else {
        toml.comment("For people: below `/` and, as afp asks by itself, `/afp-api/latest`.");
    }
}

fn people(toml: &mut Toml, application: &Node, provider: Provider<'_>) {
    if is_machine(application, provider) {
        return;
    }
    toml.table("[people]");
    toml.comment(
        "AFP left passwords to the web server. Here: the users of a file (`rolecall password`, \
         htpasswd -B), PAM's (`pam = { service = \"rolecall\" }`), a directory's (`ldap`), or whom a \
         proxy names (`proxy-header`), as REMOTE_USER was.",
    );
    let settings = application.get("provider").unwrap_or(&Node::Nothing);
    let url = settings.text("ldap_uri");
    let (Provider::Directory, Some(url)) = (provider, url) else {
        toml.pair("users-file", "\"/etc/rolecall/users\"");
        return;
    };
    let pairs = [
        ("base-users", "ldap_base_users"),
        ("base-groups", "ldap_base_groups"),
        ("bind-dn", "ldap_bind_dn"),
    ];
    let mut ldap = format!("{{ url = {}", text(url));
    for (own, afps) in pairs {
        if let Some(value) = settings.text(afps) {
            ldap.extend([", ", own, " = ", &text(value)]);
        }
    }
    if settings.text("ldap_bind_dn").is_some() {
        ldap.push_str(", bind-password = \"credential:afp-ldap-password\"");
    }
    ldap.push_str(", user-attribute = \"sAMAccountName\", group-attribute = \"name\" }");
    toml.comment(
        "The password of `bind-dn` is put into the systemd credential `afp-ldap-password`; it was \
         `provider.ldap_bind_password`. Connections are encrypted: `ldap://` by StartTLS.",
    );
    toml.pair("ldap", &ldap);
}

fn accounts(toml: &mut Toml, application: &Node, accounts: &Node) {
    let base = application
        .get("aws")
        .and_then(|aws| aws.text("access_key"));
    toml.blank();
    toml.comment(
        "AFP assumed every role by the global endpoint, for an hour, as the user's name, with one \
         pair of keys for all accounts.",
    );
    let credentials = if let Some(id) = base {
        toml.comment(
            "The secret is put into the systemd credential `afp-secret-key`; it was \
             `aws.secret_key`.",
        );
        format!(
            "{{ from = \"key\", access-key-id = {}, secret-access-key = \
             \"credential:afp-secret-key\" }}",
            text(id)
        )
    } else {
        toml.comment("AFP named no keys: they come from its environment, or its machine's role.");
        "{ from = \"environment\" }".to_owned()
    };
    for (alias, told) in accounts.entries() {
        if let Err(error) = AccountAlias::new(alias) {
            toml.blank();
            let shown = format!("Not carried over, the account {}: {error}.", text(alias));
            toml.comment(&shown);
            continue;
        }
        match told.text("id").map(account_id) {
            Some(Ok(id)) => {
                toml.table(&format!("[account.{}]", key(alias)));
                toml.pair("id", &text(id.as_str()));
                toml.pair("region", "\"us-east-1\"");
                toml.pair("credentials", &credentials);
            }
            Some(Err(written)) => {
                toml.blank();
                let shown = format!(
                    "Not carried over, the account {}: its id {} is not twelve digits.",
                    text(alias),
                    text(&written)
                );
                toml.comment(&shown);
            }
            None => {
                toml.blank();
                let shown = format!(
                    "Not carried over, the account {}: it has no id, so AFP could not use it.",
                    text(alias)
                );
                toml.comment(&shown);
            }
        }
        for (name, _) in told.entries().iter().filter(|(name, _)| name != "id") {
            toml.comment(&format!("Not carried over: {}.{name}.", text(alias)));
        }
    }
}

/// Twelve digits: a number of YAML has lost the zeros that it began with.
fn account_id(written: &str) -> Result<AccountId, String> {
    let digits: String = written
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .collect();
    let padded = format!("{digits:0>12}");
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match AccountId::new(&padded) {
        Ok(id) if is_number => Ok(id),
        Ok(_) | Err(_) => Err(written.to_owned()),
    }
}

fn grants(toml: &mut Toml, application: &Node, provider: Provider<'_>) {
    let settings = application.get("provider").unwrap_or(&Node::Nothing);
    toml.blank();
    match provider {
        Provider::Groups => {
            toml.comment(
                "A role for each group of the user. AFP did not count the primary group, and \
                 compared names without regard to case; both is otherwise here.",
            );
            by_group(toml, settings);
        }
        Provider::Directory => {
            toml.comment(
                "A role for each group of the user in the directory, those that its groups are in \
                 among them.",
            );
            by_group(toml, settings);
        }
        Provider::Host => by_host(toml, settings),
        Provider::Other(module) => {
            let class = settings.text("class").unwrap_or("Provider");
            toml.comment(&format!(
                "Not carried over: the provider {}. A program or service of yours gives roles the \
                 same way: it gets a name as its last argument, and prints \
                 {{\"account\": [[\"role\", \"reason\"]]}}.",
                text(&format!("{module}.{class}"))
            ));
            toml.line("# [[grant-source]]");
            toml.line("# command = [\"/usr/libexec/rolecall-roles\"]");
        }
    }
}

fn by_group(toml: &mut Toml, settings: &Node) {
    let Some(written) = settings.text("regex") else {
        toml.comment("Not carried over: the provider has no `regex`, so AFP gave nobody anything.");
        return;
    };
    // Python's spelling of named groups; the whole name must match here as it must there.
    let regex = written.replace("(?P<", "(?<");
    let regex = regex.strip_prefix('^').unwrap_or(&regex);
    let regex = regex.strip_suffix('$').unwrap_or(regex);
    let groups = Pattern::regex(regex).map(|pattern| pattern.groups());
    let lacks = match groups {
        Ok(groups) => ["account", "role"]
            .into_iter()
            .find(|needed| !groups.iter().any(|known| &**known == *needed))
            .map(|needed| format!("it has no group named `{needed}`")),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = lacks {
        toml.comment(&format!(
            "Not carried over: the regular expression {}: {why}.",
            text(written)
        ));
        return;
    }
    toml.line("[[grant]]");
    toml.pair("role", "\"{account}/{role}\"");
    toml.pair(
        "when",
        &format!("{{ group = {{ regex = {} }} }}", text(regex)),
    );
    toml.pair("reason", "\"member of {group}\"");
}

/// Hosts whose names have eight characters: `pro` and the service in the data centres `ber` and
/// `ham`, the first six characters elsewhere. Expressions know no look-ahead, so the other
/// beginnings are spelled out.
fn by_host(toml: &mut Toml, settings: &Node) {
    const SERVICE: &str = "(ber|ham)(?<service>[a-z0-9-]{3})[a-z0-9-]{2}";
    const NAME: &str = "(?<name>([ac-gi-z0-9-][a-z0-9-]{2}|b[a-df-z0-9-][a-z0-9-]|be[a-qs-z0-9-]|\
                        h[b-z0-9-][a-z0-9-]|ha[a-ln-z0-9-])[a-z0-9-]{3})[a-z0-9-]{2}";
    let account = settings.text("account_name").unwrap_or_default();
    let prefix = settings.text("role_prefix").unwrap_or_default();
    let domains = settings.texts("allowed_domains");
    let is_domain = |domain: &&str| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        !domain.is_empty() && domain.chars().all(valid)
    };
    let lacks = if AccountAlias::new(account).is_err() {
        Some("`account_name` is no name of an account")
    } else if RoleName::new(&format!("{prefix}pro")).is_err() {
        Some("`role_prefix` is no beginning of a role's name")
    } else if domains.is_empty() || !domains.iter().all(is_domain) {
        Some("`allowed_domains` are no names of domains")
    } else {
        None
    };
    if let Some(why) = lacks {
        toml.comment(&format!("Not carried over, the roles of hosts: {why}."));
        return;
    }
    toml.comment(
        "The role of a host by its name, which must resolve back to the address that it connects \
         from. A provider of your own that computed other roles has other grants.",
    );
    let escaped = domains
        .iter()
        .map(|domain| domain.to_lowercase().replace('.', "\\."));
    let escaped: Vec<String> = escaped.collect();
    let domain = match escaped.as_slice() {
        [only] => only.clone(),
        several => format!("({})", several.join("|")),
    };
    for (pattern, role, reason) in [
        (SERVICE, "pro{service}", "the service {service} of {host}"),
        (NAME, "{name}", "the machine {host}"),
    ] {
        let regex = format!("{pattern}\\.{domain}");
        toml.line("[[grant]]");
        toml.pair("role", &text(&format!("{account}/{prefix}{role}")));
        toml.pair(
            "when",
            &format!("{{ host = {{ regex = {} }} }}", text(&regex)),
        );
        toml.pair("reason", &text(reason));
    }
}

fn log(toml: &mut Toml, application: &Node) {
    let handler = application.get("logging_handler");
    let class = handler.and_then(|handler| handler.text("class"));
    let level = application.text("log_level").map(str::to_lowercase);
    let level = level.as_deref().and_then(|level| match level {
        "debug" => Some("debug"),
        "info" => Some("info"),
        "warning" | "warn" => Some("warn"),
        "error" | "critical" => Some("error"),
        _ => None,
    });
    let syslog = class.filter(|class| class.to_lowercase().starts_with("syslog"));
    if syslog.is_none() && level.is_none() {
        return;
    }
    toml.table("[log]");
    if syslog.is_some() {
        toml.pair("to", "\"syslog\"");
    }
    if let Some(level) = level {
        toml.pair("level", &text(level));
    }
}

/// What has no equivalent is named, so that nobody misses it; values are not: some are secret.
fn left(toml: &mut Toml, application: &Node) {
    let mut names = Vec::new();
    names_of(application, "", &mut names);
    names.retain(|name| {
        let below = |carried: &str| name.strip_prefix(carried).map(str::to_owned);
        let is_carried = |rest: String| rest.is_empty() || rest.starts_with('.');
        !CARRIED.into_iter().filter_map(below).any(is_carried)
    });
    let handler = application.get("logging_handler");
    let class = handler.and_then(|handler| handler.text("class"));
    if class.is_some_and(|class| !class.to_lowercase().starts_with("syslog")) {
        names.push("logging_handler".to_owned());
    }
    if names.is_empty() {
        return;
    }
    toml.blank();
    for name in names {
        toml.comment(&format!("Not carried over: {name}."));
    }
}

/// The paths of all values that are no maps.
fn names_of(node: &Node, above: &str, names: &mut Vec<String>) {
    for (name, value) in node.entries() {
        let path = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        match value {
            Node::Map(_) => names_of(value, &path, names),
            Node::Nothing | Node::Text(_) | Node::List(_) => names.push(path),
        }
    }
}

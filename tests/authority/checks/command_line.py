"""OpenStack's command line as it is installed: signs in, keeps EC2 keys, with both versions of the API."""

import json
import subprocess

import story
from parts import OPENSTACK, Daemon, plain_environment, told

SECONDS = 120


def check_keys_are_kept_by_version_3(directory):
    with Daemon(directory) as daemon:
        keep_keys(directory, version_3(daemon))


def check_keys_are_kept_by_version_2(directory):
    with Daemon(directory) as daemon:
        keep_keys(directory, version_2(daemon))


def check_an_administrator_keeps_others_keys(directory):
    with Daemon(directory) as daemon:
        for environment in (version_3(daemon, story.ADMIN, story.PROJECT), version_2(daemon, story.ADMIN, story.PROJECT)):
            made = asked(directory, environment, "ec2", "credentials", "create", "--user", "ann", "--project", "shop")
            assert made["project_id"] == "shop", made
            listed = asked(directory, environment, "ec2", "credentials", "list", "--user", "ann")
            assert made["access"] in [entry["Access"] for entry in listed], listed
            shown = asked(directory, environment, "ec2", "credentials", "show", "--user", "ann", made["access"])
            assert shown["secret"] == made["secret"], shown
            deleted = client(directory, environment, "ec2", "credentials", "delete", "--user", "ann", made["access"])
            assert deleted.returncode == 0, told(deleted)


def check_others_keep_their_own_only(directory):
    with Daemon(directory) as daemon:
        made = asked(directory, version_3(daemon, story.ADMIN, story.PROJECT), "ec2", "credentials", "create")
        ann = version_3(daemon)
        for arguments in (["show", made["access"]], ["delete", made["access"]], ["list", "--user", story.ADMIN]):
            refused = client(directory, ann, "ec2", "credentials", *arguments)
            assert refused.returncode != 0 and made["secret"] not in refused.stdout, told(refused)


def check_a_wrong_password_opens_nothing(directory):
    with Daemon(directory) as daemon:
        for environment in (version_3(daemon), version_2(daemon)):
            refused = client(directory, environment | {"OS_PASSWORD": "wrong"}, "ec2", "credentials", "list")
            assert refused.returncode != 0 and "401" in refused.stderr, told(refused)


def check_a_token_is_revoked(directory):
    with Daemon(directory) as daemon:
        identity = story.Identity(daemon.url)
        for environment in (version_3(daemon), version_2(daemon)):
            token, other = (asked(directory, environment, "token", "issue")["id"] for _ in range(2))
            revoked = client(directory, environment, "token", "revoke", token)
            assert revoked.returncode == 0, told(revoked)
            for one, status in ((token, 401), (other, 200)):
                assert identity.ask("GET", "/v3/auth/projects", token=one)[0] == status, (environment, status)


def check_bearer_tokens_are_application_credentials(directory):
    with Daemon(directory) as daemon:
        made = json.loads(daemon.command("key", "token", "--user", "ann", "--expires", "1h", "--json"))
        ann, admin = version_3(daemon), version_3(daemon, story.ADMIN, story.PROJECT)
        number = made["id"].replace("-", "")
        for environment, user in ((ann, []), (admin, ["--user", "ann"])):
            listed = asked(directory, environment, "application", "credential", "list", *user)
            assert [entry["ID"] for entry in listed] == [number], listed
        shown = asked(directory, ann, "application", "credential", "show", number)
        assert (shown["Name"], shown["Project ID"]) == (number, "shop"), shown
        environment = plain_environment(
            OS_AUTH_TYPE="v3applicationcredential", OS_AUTH_URL=f"{daemon.url}/v3",
            OS_APPLICATION_CREDENTIAL_ID=made["id"], OS_APPLICATION_CREDENTIAL_SECRET=made["token"],
        )
        assert asked(directory, environment, "token", "issue")["project_id"] == "shop"


def check_roles_are_listed(directory):
    with Daemon(directory) as daemon:
        ann, admin = version_3(daemon), version_3(daemon, story.ADMIN, story.PROJECT)
        own = {("web", "ann@Default", "shop@Default"), ("member", "ann@Default", "shop@Default")}
        by_name = ["--names", "--user", "ann", "--project", "shop"]
        for environment, arguments in (
            (ann, ["--names", "--auth-user"]), (ann, ["--names"]), (admin, by_name), (admin, [*by_name, "--effective"]),
        ):
            listed = asked(directory, environment, "role", "assignment", "list", *arguments)
            assert {(entry["Role"], entry["User"], entry["Project"]) for entry in listed} == own, (arguments, listed)
        everybody = asked(directory, admin, "role", "assignment", "list", "--names")
        assert {"ann@Default", "admin@Default"} <= {entry["User"] for entry in everybody}, everybody
        assert asked(directory, admin, "role", "assignment", "list", "--system", "all") == []
        refused = client(directory, ann, "role", "assignment", "list", "--user", "admin", "--project", "shop")
        assert refused.returncode != 0, told(refused)


def keep_keys(directory, environment):
    made = asked(directory, environment, "ec2", "credentials", "create")
    assert len(made["access"]) == len(made["secret"]) == 32, made
    assert (made["project_id"], "signature" in made) == ("shop", False), made
    listed = asked(directory, environment, "ec2", "credentials", "list")
    assert [entry["Access"] for entry in listed] == [made["access"]], listed
    shown = asked(directory, environment, "ec2", "credentials", "show", made["access"])
    assert shown["secret"] == made["secret"], shown
    deleted = client(directory, environment, "ec2", "credentials", "delete", made["access"])
    assert deleted.returncode == 0, told(deleted)
    assert asked(directory, environment, "ec2", "credentials", "list") == []


def version_3(daemon, user="ann", project="shop"):
    return plain_environment(
        OS_AUTH_URL=f"{daemon.url}/v3", OS_IDENTITY_API_VERSION="3", OS_USERNAME=user, OS_PASSWORD=story.PASSWORD,
        OS_PROJECT_NAME=project, OS_USER_DOMAIN_ID="default", OS_PROJECT_DOMAIN_ID="default",
    )


def version_2(daemon, user="ann", project="shop"):
    return plain_environment(
        OS_AUTH_URL=f"{daemon.url}/v2.0", OS_IDENTITY_API_VERSION="2.0", OS_USERNAME=user, OS_PASSWORD=story.PASSWORD,
        OS_PROJECT_NAME=project,
    )


def asked(directory, environment, *arguments):
    ended = client(directory, environment, *arguments, "-f", "json")
    assert ended.returncode == 0, told(ended)
    return json.loads(ended.stdout)


def client(directory, environment, *arguments):
    return subprocess.run(
        [OPENSTACK / "openstack", *arguments], env=environment | {"HOME": str(directory)}, capture_output=True, text=True,
        timeout=SECONDS,
    )

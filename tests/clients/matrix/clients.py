"""The clients, one entry each: what it is, how it is started, and what it can and cannot do."""

from dataclasses import dataclass, field

from matrix.places import CACHE, PROGRAMS

PYTHON = "/usr/bin/python3"
CLOCK = "{clock}"  # in a command: what follows has the moved clock; without it, all of the command


@dataclass(frozen=True)
class Client:
    name: str
    version: tuple  # where the installed version is found: see versions.py
    command: list  # {mount}, {s3}, {s3host} and {ask} stand for things of the cell
    # One process for all asks; False: a new process for each.
    steady: bool = True
    # key: it prints id and digest; signed: it prints the id that signed its call; recorded: the witness
    # knows who signed; identity: it has no credentials and prints the instance id.
    proof: str = "key"
    # v2, v1, or None: it does not ask the metadata address.
    imds: str | None = "v2"
    # link-local: it knows 169.254.169.254; variable: it is told another address.
    endpoint: str = "link-local"
    # full: FULL_URI and a token; relative: RELATIVE_URI on 169.254.170.2; None: it knows no such protocol.
    container: str | None = None
    # How it is told its container token: in a variable or by a file.
    token_by: str = "variable"
    # Between fetches it holds: fresh, no token; renewed, one that it replaces on 401; next, one that it
    # replaces at the ask after a 401; later, one that it replaces `token_retry` seconds after a 401; kept,
    # one that it never replaces; path, an unguessable path.
    held_token: str = "fresh"
    token_retry: int = 0
    # What makes it ask again: wall, its wall clock is moved; all, its monotonic clock too; none, nothing is
    # needed; real, time must pass (Go asks the kernel for it, Java stalls with a moved clock), so its sessions
    # are as short as that can be.
    clock: str = "wall"
    # The life of its first session in seconds, and how long before the end it asks again (negative: after).
    life: int = 3600
    asks_again_at: int = 5
    # Its first ask outlasts an upstream that takes 1.5 s.
    bears_slow: bool = True
    # Seconds after which it must have given up.
    patience: float = 20.0
    root: bool = False
    listener: dict = field(default_factory=dict)  # further keys of the listener
    environment: dict = field(default_factory=dict)
    note: str = ""  # for the table

    @property
    def parts(self):
        """The parts of the installation (install.py) that it cannot do without."""
        kind, where = self.version[:2]
        own = {"module": f"python-{where}", "npm": "node", "crate": "rust", "jar": "java"}.get(kind, kind)
        built = {"go"} if str(CACHE / "go") in self.command[0] else set()
        return {"debian", own} | built


def python(environment, program):
    return [str(CACHE / environment / "bin" / "python"), str(PROGRAMS / program)]


def node(program):
    return ["node", "--no-deprecation", str(CACHE / "node" / program)]


S3_LIST = ["s3api", "list-objects", "--bucket", "bucket", "--endpoint-url", "{s3}"]
S3FS = [PYTHON, str(PROGRAMS / "s3fs_mount.py"), "{mount}", CLOCK, "s3fs", "bucket", "{mount}", "-f",
        "-o", "url={s3}", "-o", "use_path_request_style", "-o", "retries=1"]

CLIENTS = [
    Client("curl", ("debian", "curl"), [str(PROGRAMS / "curl_script.sh")],
           endpoint="variable", container="full", held_token="renewed", clock="none",
           note="a script that keeps its token and renews it on 401"),
    Client("botocore", ("module", "boto3", "botocore"), python("boto3", "botocore_chain.py"),
           endpoint="variable", container="full"),
    Client("boto3", ("module", "boto3", "boto3"), python("boto3", "boto3_chain.py"),
           container="full"),
    Client("aiobotocore", ("module", "aiobotocore", "aiobotocore"),
           python("aiobotocore", "aiobotocore_chain.py"), endpoint="variable", container="full"),
    Client("boto 2", ("debian", "python3-boto"),
           [PYTHON, "-W", "ignore", str(PROGRAMS / "boto2_provider.py")], imds="v1"),
    Client("botocore of 2019", ("module", "botocore-2019", "botocore"),
           python("botocore-2019", "botocore_chain.py"), imds="v1", container="full"),
    Client("AWS CLI 1", ("module", "awscli", "awscli"), [str(CACHE / "awscli/bin/aws"), *S3_LIST],
           steady=False, proof="recorded", endpoint="variable", container="full"),
    Client("AWS CLI 2", ("debian", "awscli"), ["/usr/bin/aws", *S3_LIST],
           steady=False, proof="recorded", container="full"),
    Client("minio-py", ("module", "minio", "minio"), python("minio", "minio_provider.py"),
           container="full", patience=60),
    Client("CRT", ("module", "awscrt", "awscrt"), python("awscrt", "crt_chain.py"),
           endpoint="variable", container="full", held_token="next", clock="all",
           bears_slow=False, note="told at the role list that nothing is ready: a refused document kills it"),
    Client("s3cmd", ("debian", "s3cmd"),
           ["s3cmd", "-c", "/dev/null", "--no-ssl", "--region=us-east-1", "--host={s3host}",
            "--host-bucket={s3host}", "ls", "s3://bucket"],
           steady=False, proof="recorded"),
    Client("ec2-metadata (Python)", ("module", "ec2-metadata", "ec2-metadata"),
           python("ec2-metadata", "ec2_metadata_package.py"), held_token="kept", clock="none", bears_slow=False,
           note="asks for the document each time; never replaces its token before its time"),
    Client("ec2-metadata (shell)", ("debian", "amazon-ec2-utils"), ["/usr/bin/ec2-metadata", "-i"],
           steady=False, proof="identity", note="reads facts, no credentials"),
    Client("ec2metadata", ("debian", "cloud-guest-utils"), ["/usr/bin/ec2metadata", "--instance-id"],
           steady=False, proof="identity", note="reads facts, no credentials"),
    Client("AWS SDK for JavaScript 2", ("npm", "aws-sdk"), node("aws_sdk_v2.mjs"),
           endpoint="variable", container="full",
           environment={"AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1"}),
    Client("AWS SDK for JavaScript 3", ("npm", "@aws-sdk/credential-providers"), node("aws_sdk_v3.mjs"),
           endpoint="variable", container="full"),
    Client("minio-js", ("npm", "minio"), node("minio_js.mjs"), container="full",
           listener={"minio-js-alias": True}, note="listener with `minio-js-alias = true`"),
    Client("AWS SDK for Rust", ("crate", "aws-config"), [str(CACHE / "rust/debug/client-aws-config")],
           proof="signed", endpoint="variable", container="full", held_token="kept",
           note="repeats a 401 with the same token, then goes on with the session it has"),
    Client("object_store", ("crate", "object_store"), [str(CACHE / "rust/debug/client-object-store")],
           container="full", token_by="file", clock="all", patience=90),
    Client("rusoto", ("crate", "rusoto_credential"), [str(CACHE / "rust/debug/client-rusoto")],
           imds="v1", container="full"),
    Client("AWS SDK for Go 1", ("go", "aws-sdk-go", "github.com/aws/aws-sdk-go"), [str(CACHE / "go/aws-sdk-go")],
           endpoint="variable", container="full", held_token="next",
           clock="real", life=304, asks_again_at=300),
    Client("AWS SDK for Go 2", ("debian", "golang-github-aws-aws-sdk-go-v2-dev"),
           [str(CACHE / "go/aws-sdk-go-v2")], container="full", held_token="renewed",
           clock="real", life=66, asks_again_at=-1,
           note="gives sessions under 15 minutes no margin: it asks when they end"),
    Client("minio-go", ("go", "minio-go", "github.com/minio/minio-go/v7"), [str(CACHE / "go/minio-go")],
           container="full", clock="real", life=66, asks_again_at=12),
    Client("AWS SDK for Java 1", ("jar", "aws-java-sdk-core"),
           ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{CACHE}/java:{CACHE}/java/lib/*", "Asking"],
           container="full", clock="real", life=904, asks_again_at=900),
    Client("rclone", ("debian", "rclone"),
           ["rclone", "--config", "/dev/null", "--s3-provider", "Other", "--s3-env-auth", "--s3-region",
            "us-east-1", "--s3-endpoint", "{s3}", "--retries", "1", "--low-level-retries", "1", "lsf", ":s3:bucket"],
           steady=False, proof="recorded", endpoint="variable", container="full"),
    Client("restic", ("debian", "restic"),
           ["restic", "-q", "--no-cache", "--repo", "s3:{s3}/bucket/restic-{ask}", "init"],
           steady=False, proof="recorded", container="full", environment={"RESTIC_PASSWORD": "x"}),
    Client("AWS SDK for Ruby", ("debian", "ruby-aws-sdk-core"),
           ["ruby", "-W0", str(PROGRAMS / "aws_sdk_core.rb")], container="relative",
           held_token="later", token_retry=370, note="extends a session for five minutes when a fetch fails"),
    Client("async-aws", ("debian", "php-async-aws-core"), ["php", str(PROGRAMS / "async_aws.php")],
           imds="v1", container="relative"),
    Client("s3fs, iam_role", ("debian", "s3fs"), [*S3FS, "-o", "iam_role=auto", "-o", "imdsv1only"],
           proof="recorded", imds="v1", root=True),
    Client("s3fs, ecs", ("debian", "s3fs"), [*S3FS, "-o", "ecs"],
           proof="recorded", imds=None, container="relative", held_token="path",
           bears_slow=False, root=True, note="asks once, and waits as long as any container client is let"),
]

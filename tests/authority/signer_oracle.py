"""Random requests that python-keystoneclient's `Ec2Signer` signs, in all its versions, and that the daemon's verification
must take; each of them once more with another signature, which it must not take.

    signer_oracle.py [SEED]

Runs in the environment of `openstack.txt`, from the root of the repository; builds `examples/signatures.rs`."""

import copy
import json
import random
import subprocess
import sys
import threading
import time

from keystoneclient.contrib.ec2.utils import Ec2Signer

REQUESTS = 10_000
WRONG = "the signature is another"
SHOWN = 5
PIECES = ["a", "Z", "0", "-", "_", ".", "~", " ", "+", "/", "*", "%", "=", "&", "?", ";", "é", "Σ", "İ", "ß", "😀", "'"]
VALUES = ["a", "Z", "9", "  ", " ", "/", ";", "=", '"', "é"]
HOSTS = ["localhost", "Cloud.example", "cloud.example:8773", "10.0.0.1:80", "[::1]", "[2001:db8::1]:8773"]
NAMED = {"Action", "Timestamp", "Signature", "SignatureVersion", "SignatureMethod"}


def text(chance, most, pieces=PIECES):
    return "".join(chance.choice(pieces) for _ in range(chance.randrange(most + 1)))


def moment(chance, form):
    return time.strftime(form, time.gmtime(chance.randrange(0, 4_000_000_000)))


def parameters(chance):
    names = {text(chance, 6) for _ in range(chance.randrange(8))} - NAMED
    # A set's order is another one in each process.
    shuffled = sorted(names)
    chance.shuffle(shuffled)
    return {name: chance.choice([text(chance, 12), chance.randrange(-5, 5000)]) for name in shuffled}


def older(chance, version):
    params = parameters(chance)
    params["SignatureVersion"] = version
    params["AWSAccessKeyId"] = "access"
    if version == "0" or chance.random() < 0.5:
        forms = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.250Z", "%Y-%m-%dT%H:%M:%S+00:00"]
        params["Timestamp"] = moment(chance, chance.choice(forms))
    if version == "0" or chance.random() < 0.5:
        params["Action"] = text(chance, 12)
    if chance.random() < 0.5:
        params["SignatureMethod"] = chance.choice(["HmacSHA1", "HmacSHA256", "None"])
    return {"params": params}


def listed(chance, headers):
    """Headers beside these, and the list of the signed ones."""
    for number in range(chance.randrange(4)):
        headers[chance.choice(["X-One-", "x-two-", "X-AMZ-Three-"]) + str(number)] = text(chance, 8, VALUES)
    names = [name.lower() for name in headers if name.lower() == "host" or chance.random() < 0.8]
    chance.shuffle(names)
    return ";".join(names)


def version_4(chance):
    date = moment(chance, "%Y%m%dT%H%M%SZ")
    service = chance.choice(["ec2", "sts", "iam"])
    credential = "/".join(["access", date[:8], text(chance, 8, ["a", "b", "-", "1"]), service, "aws4_request"])
    params = parameters(chance)
    headers = {chance.choice(["Host", "host", "HOST"]): chance.choice(HOSTS[:4])}
    if chance.random() < 0.2:
        headers["User-Agent"] = chance.choice(["Boto/2.9.2 (linux2)", "Boto/2.9.3 (linux2)", "Boto/2.0.0", "curl/8"])
    else:
        headers["Host" if "Host" in headers else "host" if "host" in headers else "HOST"] = chance.choice(HOSTS)
    if chance.random() < 0.5:
        if chance.random() < 0.5:
            headers["X-Amz-Date"] = date
        else:
            params["X-Amz-Date"] = date
        signed = listed(chance, headers)
        space = chance.choice([",", ", "])
        parts = ["Credential=" + credential, "SignedHeaders=" + signed, "Signature=0"]
        headers["Authorization"] = "AWS4-HMAC-SHA256 " + space.join(parts)
    else:
        params["X-Amz-Algorithm"] = "AWS4-HMAC-SHA256"
        params["X-Amz-Credential"] = credential
        params["X-Amz-Date"] = date
        params["X-Amz-SignedHeaders"] = listed(chance, headers)
        if chance.random() < 0.5:
            params["X-Amz-Expires"] = str(chance.randrange(1, 604_801))
    return {"params": params, "headers": headers, "body_hash": "".join(chance.choices("0123456789abcdef", k=64))}


def questions(chance):
    """Each request twice: as it was signed, and with another signature."""
    for number in range(REQUESTS):
        version = "0124"[number % 4]
        told = version_4(chance) if version == "4" else older(chance, version)
        told |= {
            "access": "access",
            "host": chance.choice(HOSTS),
            "verb": chance.choice(["GET", "POST", "PUT", "DELETE", "get", "post"]),
            "path": "/" + text(chance, 10),
        }
        secret = text(chance, 40) or "secret"
        told["signature"] = Ec2Signer(secret).generate(copy.deepcopy(told))
        yield {"secret": secret, "credentials": told}, "right"
        other = told | {"signature": told["signature"][::-1]}
        if other["signature"] != told["signature"]:
            yield {"secret": secret, "credentials": other}, WRONG


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    asked = list(questions(random.Random(seed)))
    command = ["cargo", "run", "--locked", "--quiet", "--example", "signatures"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as verifier:

        def ask():
            with verifier.stdin as lines:
                for question, _ in asked:
                    lines.write(json.dumps(question, ensure_ascii=False) + "\n")

        asking = threading.Thread(target=ask)
        asking.start()
        answers = verifier.stdout.read().splitlines()
        asking.join()
    passed, shown = 0, 0
    for (question, expected), answer in zip(asked, answers):
        if answer == expected:
            passed += 1
        elif shown < SHOWN:
            shown += 1
            print(f"{answer!r} in place of {expected!r}: {json.dumps(question)}")
    failed = len(asked) - passed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed or verifier.returncode else 0


if __name__ == "__main__":
    sys.exit(main())

"""The ec2-metadata package: one client, which keeps its token and asks for the document each time."""

from ec2_metadata import ec2_metadata

import asking


def ask():
    found = ec2_metadata.iam_security_credentials
    if found is None:
        return "error ec2-metadata found no instance profile"
    return asking.key(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])


asking.answer(ask)

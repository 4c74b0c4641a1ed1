"""boto3's default session."""

import boto3

import asking

session = boto3.Session()


def ask():
    found = session.get_credentials()
    if found is None:
        return "error boto3 found no credentials"
    frozen = found.get_frozen_credentials()
    return asking.key(frozen.access_key, frozen.secret_key, frozen.token)


asking.answer(ask)

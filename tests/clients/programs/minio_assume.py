"""minio-py: an AssumeRoleProvider at the STS of AWS_ENDPOINT_URL_STS."""

import os

from minio.credentials import AssumeRoleProvider

import asking

provider = AssumeRoleProvider(
    sts_endpoint=os.environ["AWS_ENDPOINT_URL_STS"],
    access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    role_arn=os.environ["AWS_ROLE_ARN"], role_session_name=os.environ["AWS_ROLE_SESSION_NAME"], region="us-east-1",
)


def ask():
    found = provider.retrieve()
    return asking.key(found.access_key, found.secret_key, found.session_token)


asking.answer(ask)

"""The AWS Common Runtime's default chain, through its Python binding."""

from awscrt.auth import AwsCredentialsProvider
from awscrt.io import ClientBootstrap

import asking

chain = AwsCredentialsProvider.new_default_chain(ClientBootstrap.get_or_create_static_default())


def ask():
    found = chain.get_credentials().result()
    return asking.key(found.access_key_id, found.secret_access_key, found.session_token)


asking.answer(ask)

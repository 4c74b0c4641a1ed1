"""boto 2: one provider, which looks at the expiry whenever a property is read."""

import boto.provider

import asking

provider = None


def ask():
    global provider
    provider = provider or boto.provider.Provider("aws")
    found = provider.access_key
    if not found:
        provider = None
        return "error boto 2 found no credentials"
    return asking.key(found, provider.secret_key, provider.security_token)


asking.answer(ask)

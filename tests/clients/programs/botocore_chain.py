"""botocore's default chain, old or new: one session for the life of the program."""

import collections
import collections.abc

# The botocore of 2019 imports these from where Python had them until 3.10; new ones ignore them.
for name in ("Callable", "Iterable", "Mapping", "MutableMapping", "MutableSequence", "Sequence"):
    setattr(collections, name, getattr(collections.abc, name))

import botocore.session  # noqa: E402

import asking  # noqa: E402

session = botocore.session.get_session()


def ask():
    found = session.get_credentials()
    if found is None:
        return "error botocore found no credentials"
    frozen = found.get_frozen_credentials()
    return asking.key(frozen.access_key, frozen.secret_key, frozen.token)


asking.answer(ask)

"""aiobotocore's default session in one event loop."""

import asyncio

from aiobotocore.session import get_session

import asking

session = get_session()
loop = asyncio.new_event_loop()


async def fetch():
    found = await session.get_credentials()
    if found is None:
        return "error aiobotocore found no credentials"
    frozen = await found.get_frozen_credentials()
    return asking.key(frozen.access_key, frozen.secret_key, frozen.token)


asking.answer(lambda: loop.run_until_complete(fetch()))

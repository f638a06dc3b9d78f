"""As with_boto3.py, with aiobotocore."""

import asyncio
import sys

from aiobotocore.session import AioSession
from aiobotocore.utils import AioIMDSRegionProvider


async def callers(times, pause):
    session = AioSession()
    async with session.create_client("sts") as sts:
        for number in range(times):
            await asyncio.sleep(pause if number else 0)
            arn = (await sts.get_caller_identity())["Arn"]
            keys = await (await session.get_credentials()).get_frozen_credentials()
            print(keys.access_key, arn, flush=True)


async def region():
    print(await AioIMDSRegionProvider(AioSession()).provide() or sys.exit("no Region"))


match sys.argv[1:]:
    case []:
        asyncio.run(callers(1, 0))
    case ["region"]:
        asyncio.run(region())
    case ["refresh", times, seconds]:
        asyncio.run(callers(int(times), float(seconds)))
    case words:
        sys.exit(f"neither region nor refresh TIMES SECONDS: {words}")

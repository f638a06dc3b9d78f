"""As serve_with_boto3.py, with aiobotocore. Between two lines nothing is to be done: the loop may wait for the next."""

import asyncio
import logging
import sys

from aiobotocore.session import AioSession


async def serve():
    async with AioSession().create_client("sts") as sts:
        for line in sys.stdin:
            try:
                said = (await sts.get_caller_identity())["Arn"]
            except Exception as error:
                said = f"failed: {error!r}"
            print(line.strip(), said, flush=True)


logging.basicConfig(
    filename=sys.argv[1], level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s"
)
asyncio.run(serve())

"""Says what STS calls it for each line that it reads, with one session for all of them, as a program that runs for
long. What botocore logs is in the file that the first argument names."""

import logging
import sys

import boto3

logging.basicConfig(
    filename=sys.argv[1], level=logging.DEBUG, format="%(levelname)s %(name)s: %(message)s"
)
sts = boto3.Session().client("sts")
for line in sys.stdin:
    try:
        said = sts.get_caller_identity()["Arn"]
    except Exception as error:
        said = f"failed: {error!r}"
    print(line.strip(), said, flush=True)

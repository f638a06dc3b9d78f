"""Says who it is: the id of its access key, and what STS calls its bearer. With `region` it says where the metadata
service puts it, with `refresh TIMES SECONDS` who it is so many times, with one session and with pauses between."""

import sys
import time

import boto3
from botocore.session import Session
from botocore.utils import IMDSRegionProvider


def callers(times, pause):
    session = boto3.Session()
    sts = session.client("sts")
    for number in range(times):
        time.sleep(pause if number else 0)
        arn = sts.get_caller_identity()["Arn"]
        print(session.get_credentials().access_key, arn, flush=True)


match sys.argv[1:]:
    case []:
        callers(1, 0)
    case ["region"]:
        # What finds the Region for the defaults mode `auto`: nothing else in botocore asks for it.
        print(IMDSRegionProvider(Session()).provide() or sys.exit("no Region"))
    case ["refresh", times, seconds]:
        callers(int(times), float(seconds))
    case words:
        sys.exit(f"neither region nor refresh TIMES SECONDS: {words}")

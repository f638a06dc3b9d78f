"""Says who it is: the id of its access key, and what STS calls its bearer."""

import boto3

session = boto3.Session()
arn = session.client("sts").get_caller_identity()["Arn"]
print(session.get_credentials().access_key, arn)

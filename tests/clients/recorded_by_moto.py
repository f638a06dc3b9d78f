"""Says what moto was asked, from its recording: a JSON list with the action of each request, its role, who signed it,
and what the web identity in it claims to be. No signature is checked."""

import base64
import json
import sys
from urllib.parse import parse_qs


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def call(line):
    request = json.loads(line)
    body = request["body"]
    if request["body_encoded"]:
        body = base64.b64decode(body).decode()
    form = {name: values[0] for name, values in parse_qs(body).items()}
    token = form.get("WebIdentityToken")
    headers = {name.lower(): value for name, value in request["headers"].items()}
    return {
        "action": form.get("Action", ""),
        "role": form.get("RoleArn"),
        "authorization": headers.get("authorization"),
        "claims": claims(token) if token else None,
    }


with open(sys.argv[1]) as recording:
    print(json.dumps([call(line) for line in recording]))

#!/bin/sh
# Says who it is: the id of its access key, and what STS calls its bearer. `with_curl.sh 1` asks as IMDSv1 wants it,
# `with_curl.sh 2` as IMDSv2 does. After that `region` says where the metadata service puts it.
set -eu

metadata=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
metadata=${metadata%/}/latest
ask() { curl --silent --show-error --fail --globoff --max-time 5 "$@"; }

token=
if [ "$1" = 2 ]; then
  token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' "$metadata/api/token")
fi
get() { ask ${token:+-H "X-aws-ec2-metadata-token: $token"} "$metadata/meta-data/$1"; }

region() {
  get placement/region
  echo
}

caller() {
  role=$(get iam/security-credentials/)
  keys=$(get "iam/security-credentials/$role")
  value() { echo "$keys" | sed -n "s/^ *\"$1\" : \"\(.*\)\".*/\1/p"; }

  key=$(value AccessKeyId)
  identity=$(ask --aws-sigv4 "aws:amz:$AWS_REGION:sts" --user "$key:$(value SecretAccessKey)" \
    -H "X-Amz-Security-Token: $(value Token)" -d 'Action=GetCallerIdentity&Version=2011-06-15' "$AWS_ENDPOINT_URL_STS/")
  echo "$key $(echo "$identity" | sed -n 's/.*<Arn>\(.*\)<\/Arn>.*/\1/p')"
}

case ${2-} in
  '') caller ;;
  region) region ;;
  *) echo "not region: $2" >&2; exit 2 ;;
esac

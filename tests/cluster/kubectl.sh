#!/usr/bin/env bash
# kubectl.sh ARGS...: kubectl as the cluster's admin, in the cluster's namespaces.
. "$(dirname "$0")/lib.sh"
must_be_up
kubectl "$@"

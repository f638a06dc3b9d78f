#!/usr/bin/env bash
# restart.sh NAME...: kills daemons of the node, such as kubelet, and starts them as they were started.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
must_be_up
for name; do
	[ -e "$RUN/daemons/$name" ] || die "there is no $name"
	pids=$(pids_of "$name")
	[ -n "$pids" ] || die "no $name runs"
	# shellcheck disable=SC2086  # pids are words
	kill -KILL $pids
	for pid in $pids; do
		wait_for 30 "the end of $name" test ! -e "/proc/$pid"
	done
	readarray -d '' args <"$RUN/daemons/$name"
	daemon "$name" "${args[@]}"
	# A kubelet asks containerd once, and ends if nobody answers.
	case $name in
	containerd) wait_for 60 containerd node "$BIN/ctr" version ;;
	kubelet) wait_for 120 kubelet kubectl get --raw "/api/v1/nodes/$NODE/proxy/healthz" ;;
	esac
done

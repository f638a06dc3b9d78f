#!/usr/bin/env bash
# Ends the cluster and removes all that up.sh made, however far it came.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Every process of the cluster is in one of its cgroups of version 2, which
# kills them all at once (Linux 5.14). Its namespaces and mounts end with them.
[ ! -d "$unified/$NAME" ] || echo 1 >"$unified/$NAME/cgroup.kill"

# There is no list if up.sh has not come so far, or if something else has removed it.
{ [ ! -e "$RUN/cgroups" ] || cat "$RUN/cgroups"; cgroup_dirs all; } | sort -u | while read -r d; do
	for _ in $(seq 100); do
		[ -d "$d" ] || break
		find "$d" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
	done
	[ ! -d "$d" ] || die "the cgroup $d is still in use"
done
rm -rf "$RUN"

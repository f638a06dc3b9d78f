#!/usr/bin/env bash
# build.sh [api]: builds the programs of the test cluster from their public Go
# modules into $BIN: the control plane, and unless told `api` what a node has
# too. Reruns are cheap: Go's own caches know what is stale.
# Needs: go >= 1.26.6, a C compiler; for a node also pkg-config and libseccomp-dev.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
BIN=${BIN:-$here/.work/bin}
mkdir -p "$BIN"
BIN=$(cd "$BIN" && pwd)
export GOFLAGS="${GOFLAGS:-} -trimpath" CGO_ENABLED=0

KUBERNETES=1.37.2    # as in src/kube/go.mod
CONTAINERD=v2.4.2
RUNC=v1.5.2
CNI=v1.9.1

say() { printf '%s %s\n' "$(date +%T)" "$*"; }
go() { nice -n "${NICE:-10}" go "$@"; }

# kube BINARY COMPONENT...: a binary of src/kube, with a link for each component that is in it.
kube() {
	local binary=$1 version=k8s.io/component-base/version major minor component
	shift
	IFS=. read -r major minor _ <<<"$KUBERNETES"
	say "Kubernetes $KUBERNETES: $*"
	(cd "$here/src/kube" && go build -o "$BIN/$binary" -ldflags "-s -w -X $version.gitTreeState=clean \
		-X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=$major -X $version.gitMinor=$minor" "./$binary")
	for component; do ln -sf "$binary" "$BIN/$component"; done
}

# install DIRECTORY LDFLAGS PACKAGE@VERSION [FLAG...]
install() {
	local directory=$1 ldflags=$2 package=$3
	shift 3
	GOBIN=$directory go install -ldflags "-s -w $ldflags" "$@" "$package"
}

"${CC:-cc}" -Os -static -s -o "$BIN/pause" "$here/src/pause.c"
kube control etcd kube-apiserver kube-controller-manager kubectl
if [ "${1:-}" != api ]; then
	kube node kube-scheduler kubelet kube-proxy

	say "containerd $CONTAINERD"
	module=github.com/containerd/containerd/v2
	for program in containerd containerd-shim-runc-v2 ctr; do
		install "$BIN" "-X $module/version.Version=$CONTAINERD" "$module/cmd/$program@$CONTAINERD" \
			-tags no_btrfs,no_zfs,no_devmapper
	done

	say "runc $RUNC"
	CGO_ENABLED=1 install "$BIN" '' "github.com/opencontainers/runc@$RUNC" -tags seccomp

	say "CNI plugins $CNI"
	mkdir -p "$BIN/cni"
	for plugin in main/bridge main/ptp main/loopback ipam/host-local meta/portmap; do
		install "$BIN/cni" '' "github.com/containernetworking/plugins/plugins/$plugin@$CNI"
	done
fi
say done

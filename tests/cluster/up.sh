#!/usr/bin/env bash
# up.sh [api]: starts the cluster: the control plane, and unless told `api` a
# node. See README.md.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
part=${1:-all}
[ "$(id -u)" = 0 ] || die "needs root"
[ -x "$BIN/control" ] || die "run build.sh first"
! is_up || die "already up (down.sh ends it)"
"$here/down.sh"
t0=$(now)
mkdir -p "$RUN/log" "$RUN/home"
"$here/pki.sh" "$part"
say certificates

cgroup_dirs "$part" >"$RUN/cgroups"
while read -r d; do
	for d in "$d" "$d/daemons"; do
		mkdir -p "$d"
		for f in cpuset.cpus cpuset.mems; do   # version 1 starts with these empty
			if [ -e "$d/$f" ] && [ -z "$(cat "$d/$f")" ]; then cat "${d%/*}/$f" >"$d/$f"; fi
		done
	done
done <"$RUN/cgroups"
[ "$part" = api ] || "$here/node-config.sh"
setsid bash -c 'while read -r d; do echo $$ >"$d/cgroup.procs"; done <"$0" &&
	exec unshare -m -n -p -C -u -i -f --propagation private bash "$1" "$2"' \
	"$RUN/cgroups" "$here/node-init.sh" "$part" >"$RUN/log/init.log" 2>&1 </dev/null &
wait_for 15 "the namespaces" test -s "$RUN/pid"
say "namespaces, outer pid of their first process: $(cat "$RUN/pid")"

daemon etcd --data-dir "$RUN/etcd" --unsafe-no-fsync \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
	--listen-peer-urls http://127.0.0.1:2380
kubelets=()
[ "$part" = api ] || kubelets=(
	--kubelet-client-certificate "$PKI/apiserver-kubelet.crt" --kubelet-client-key "$PKI/apiserver-kubelet.key"
	--kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP)
# shellcheck disable=SC2086  # APISERVER_ARGS are words
daemon kube-apiserver --etcd-servers http://127.0.0.1:2379 \
	--secure-port 6443 --advertise-address "$NODE_IP" --service-cluster-ip-range "$SERVICES" \
	--client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
	--service-account-issuer https://kubernetes.default.svc.cluster.local \
	--service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
	--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
	"${kubelets[@]}" ${APISERVER_ARGS:-}
wait_for 120 "the API server" kubectl get --raw /readyz
say "API server ready"

# Without kubelets there are no live nodes. Whatever would conclude from that
# that pods must go is left out, so that pods stay as a test has written them.
controllers='*'
[ "$part" != api ] || controllers=serviceaccount-controller,root-ca-certificate-publisher-controller,\
namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,\
validatingadmissionpolicy-status-controller
daemon kube-controller-manager --kubeconfig "$PKI/kcm.kubeconfig" --use-service-account-credentials \
	--service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" --leader-elect=false \
	--controllers "$controllers"

if [ "$part" != api ]; then
	daemon kube-scheduler --kubeconfig "$PKI/scheduler.kubeconfig" --leader-elect=false
	daemon containerd --config "$RUN/etc/containerd.toml"
	wait_for 30 containerd node "$BIN/ctr" version
	"$here/image.sh" local/pause:1 /pause -- "$BIN/pause:/pause"
	"$here/image.sh" local/tools:1 /bin/sh -- busybox
	say "containerd with two images"

	# shellcheck disable=SC2086  # KUBELET_ARGS are words
	daemon kubelet --config "$RUN/etc/kubelet.yaml" --kubeconfig "$PKI/kubelet.kubeconfig" \
		--hostname-override "$NODE" --node-ip "$NODE_IP" ${KUBELET_ARGS:-}
	daemon kube-proxy --config "$RUN/etc/proxy.yaml"
	wait_for 120 "the node to be Ready" kubectl wait --for condition=Ready "node/$NODE" --timeout 1s
	say "node Ready"
fi
wait_for 60 "the default ServiceAccount" kubectl get serviceaccount default
say "controllers at work"

# For tests, which read it as their environment.
mkdir -p "$unified/$NAME/tests"
cat >"$RUN/environment" <<ENV
BPF2IAM_CLUSTER_API=$API
BPF2IAM_CLUSTER_CA=$PKI/ca.crt
BPF2IAM_CLUSTER_KUBECONFIG=$PKI/admin.kubeconfig
BPF2IAM_CLUSTER_KUBECTL=$(realpath "$BIN")/kubectl
BPF2IAM_CLUSTER_NETNS=/proc/$(cat "$RUN/pid")/ns/net
BPF2IAM_CLUSTER_CGROUP=$unified/$NAME/tests
BPF2IAM_CLUSTER_SCRIPTS=$here
NAME=$NAME
WORK=$WORK
BIN=$(realpath "$BIN")
ENV

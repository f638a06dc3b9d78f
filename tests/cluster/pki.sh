#!/usr/bin/env bash
# pki.sh [api]: makes the cluster's certificates, ServiceAccount key and
# kubeconfigs in $PKI, unless told `api` those of a node too. Everything is
# thrown away with the cluster.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
umask 077
mkdir -p "$PKI" && cd "$PKI"
q() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }

q openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
	-keyout ca.key -out ca.crt -subj /CN=test-cluster-ca \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign

# cert NAME SUBJECT USAGE [SANs]
cert() {
	q openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2"
	q openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
		-extfile <(echo "extendedKeyUsage=$3"; if [ -n "${4:-}" ]; then echo "subjectAltName=$4"; fi)
}
# config NAME SUBJECT [SANs]: a kubeconfig with a client certificate, which is for a server too if it has names of one
config() {
	cert "$1" "$2" "clientAuth${3:+,serverAuth}" "${3:-}"
	cat >"$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "$API", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: $1, context: {cluster: test, user: $1}}]
current-context: $1
YAML
}
names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
cert apiserver /CN=kube-apiserver serverAuth "$names,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP"
config admin /O=system:masters/CN=admin
config kcm /CN=system:kube-controller-manager
if [ "${1:-}" != api ]; then
	cert apiserver-kubelet /O=system:masters/CN=apiserver-kubelet clientAuth
	config scheduler /CN=system:kube-scheduler
	config proxy /CN=system:kube-proxy
	config kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODE_IP"
fi
q openssl genrsa -out sa.key 2048
q openssl rsa -in sa.key -pubout -out sa.pub
rm -f ./*.csr
chmod 644 ca.crt

#!/bin/bash
# Builds what applies a repository in production: Argo CD's engine (as the agent of its own module) and Flux's kustomize-controller,
# from Go's module proxy, and the kinds that they read. All lies under ${FLOWC_CLUSTER_HOME:-~/.cache/flowc-cluster}/gitops; built once.
# Needs Go >= 1.26.1. Prints the folder.
set -euo pipefail
ENGINE=v0.0.0-20260914071520-c9c369efcc5b  # of github.com/argoproj/argo-cd/gitops-engine
ARGOCD=v3.4.13
FLUX=v1.9.6                                # kustomize-controller and source-controller
H=${FLOWC_CLUSTER_HOME:-$HOME/.cache/flowc-cluster}/gitops
PATH=$PATH:/usr/local/go/bin
stamp=$H/stamp-$ENGINE-$ARGOCD-$FLUX
mkdir -p "$H"
exec 9>"$H/lock"
flock 9
if [ -e "$stamp" ]; then echo "$H"; exit; fi
have=$(go env GOVERSION)
printf 'go1.26.1\n%s\n' "$have" | sort -VC || { echo "build.sh: Go >= 1.26.1 is needed, this is $have" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

godir() { # MODULE VERSION: its unpacked source
  (cd / && GOWORK=off GOFLAGS=-mod=mod go mod download -json "$1@$2") | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'
}
gobuild() { # FOLDER OUT PACKAGE: in a copy of the module, by its own go.sum
  nice -n 5 env GOWORK=off CGO_ENABLED=0 GOFLAGS= go -C "$1" build -mod=readonly -trimpath -buildvcs=false -ldflags '-s -w' -o "$2" "$3" >&2
}

cp -r --no-preserve=mode "$(godir github.com/argoproj/argo-cd/gitops-engine $ENGINE)" "$work/engine"
gobuild "$work/engine" "$H/argocd-engine" ./agent
flux=github.com/fluxcd/kustomize-controller
cp -r --no-preserve=mode "$(godir $flux $FLUX)" "$work/flux"
# the module's go.mod looks for its second module beside itself, where archives do not have it
cp -r --no-preserve=mode "$(godir $flux/api $FLUX)" "$work/flux/api"
gobuild "$work/flux" "$H/kustomize-controller" .
mkdir -p "$H/crds"
cp --no-preserve=mode "$(godir github.com/argoproj/argo-cd/v3 $ARGOCD)"/manifests/crds/application-crd.yaml "$H/crds/argocd.yaml"
cat "$work"/flux/config/crd/bases/*.yaml "$(godir github.com/fluxcd/source-controller $FLUX)"/config/crd/bases/*.yaml >"$H/crds/flux.yaml"
touch "$stamp"
echo "$H"

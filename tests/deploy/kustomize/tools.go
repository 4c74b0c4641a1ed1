//go:build tools

// Package tools pins the kustomize that the manifests are built with: the newest that Debian 12's Go compiles.
package tools

import _ "sigs.k8s.io/kustomize/kustomize/v5"

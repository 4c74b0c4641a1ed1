// minio-go: a client with its IAM provider, which renews after four fifths of a session's life.
package main

import (
	"github.com/minio/minio-go/v7/pkg/credentials"

	"clients/asking"
)

func main() {
	held := credentials.NewIAM("")
	asking.Answer(func() (string, error) {
		found, err := held.Get()
		return asking.Key(found.AccessKeyID, found.SecretAccessKey, found.SessionToken), err
	})
}

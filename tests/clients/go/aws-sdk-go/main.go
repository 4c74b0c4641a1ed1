// AWS SDK for Go v1: a session's own credentials, which renew themselves.
package main

import (
	"github.com/aws/aws-sdk-go/aws/session"

	"clients/asking"
)

func main() {
	made, problem := session.NewSession()
	asking.Answer(func() (string, error) {
		if problem != nil {
			return "", problem
		}
		found, err := made.Config.Credentials.Get()
		return asking.Key(found.AccessKeyID, found.SecretAccessKey, found.SessionToken), err
	})
}

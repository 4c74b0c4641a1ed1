// AWS SDK for Go v2 as Debian packages it: the cache of the default configuration.
package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/config"

	"clients/asking"
)

func main() {
	loaded, problem := config.LoadDefaultConfig(context.Background())
	asking.Answer(func() (string, error) {
		if problem != nil {
			return "", problem
		}
		found, err := loaded.Credentials.Retrieve(context.Background())
		return asking.Key(found.AccessKeyID, found.SecretAccessKey, found.SessionToken), err
	})
}

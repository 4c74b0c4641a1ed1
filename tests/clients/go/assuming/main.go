// AWS SDK for Go v1: the role of AWS_ROLE_ARN, assumed at the STS of AWS_ENDPOINT_URL_STS by the keys of the
// environment, or by the token in the file of AWS_WEB_IDENTITY_TOKEN_FILE. This SDK reads no endpoint from its
// environment.
package main

import (
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/credentials/stscreds"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"

	"clients/asking"
)

func main() {
	made, problem := session.NewSession()
	asking.Answer(func() (string, error) {
		if problem != nil {
			return "", problem
		}
		client := sts.New(made, aws.NewConfig().WithEndpoint(os.Getenv("AWS_ENDPOINT_URL_STS")))
		found, err := assumed(client).Get()
		return asking.Key(found.AccessKeyID, found.SecretAccessKey, found.SessionToken), err
	})
}

func assumed(client *sts.STS) *credentials.Credentials {
	role, name := os.Getenv("AWS_ROLE_ARN"), os.Getenv("AWS_ROLE_SESSION_NAME")
	if file := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE"); file != "" {
		return credentials.NewCredentials(stscreds.NewWebIdentityRoleProvider(client, role, name, file))
	}
	return stscreds.NewCredentialsWithClient(client, role, func(asked *stscreds.AssumeRoleProvider) {
		asked.RoleSessionName = name
	})
}

// Package asking is the line protocol between the matrix and a client program: see
// programs/asking.py.
package asking

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
)

// Key shows credentials that the client handed out.
func Key(accessKeyID, secretAccessKey, sessionToken string) string {
	hash := sha256.Sum256([]byte(secretAccessKey + "\n" + sessionToken))
	return fmt.Sprintf("key %s %x", accessKeyID, hash[:8])
}

// Answer answers every ask until standard input ends.
func Answer(ask func() (string, error)) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		reply, err := ask()
		if err != nil {
			reply = "error " + strings.Join(strings.Fields(err.Error()), " ")
		}
		fmt.Println(reply)
	}
}

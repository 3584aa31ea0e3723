package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

var errToken = errors.New("gateway: the path ends in no URL token of ours")

// tokens parses URL tokens, one a file. A token is a path segment, so it holds
// only characters that need no escaping there.
func tokens(logger *slog.Logger, paths []string) func([][]byte) ([][]byte, error) {
	parse := secrets(logger, "URL tokens", paths)
	return func(contents [][]byte) ([][]byte, error) {
		found, err := parse(contents)
		if err != nil {
			return nil, err
		}
		for i, token := range found {
			for _, c := range token {
				if !tokenByte(c) {
					return nil, fmt.Errorf("%s: a URL token holds A-Z a-z 0-9 _ and - only", paths[i])
				}
			}
		}
		return found, nil
	}
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// isToken reports whether given is one of the tokens, in a time that depends on
// neither.
func isToken(given string, tokens [][]byte) bool {
	digest := sha256.Sum256([]byte(given))
	found := 0
	for _, token := range tokens {
		want := sha256.Sum256(token)
		found |= subtle.ConstantTimeCompare(digest[:], want[:])
	}
	return found == 1
}

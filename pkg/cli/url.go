package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
)

// URL is the command url.
type URL struct {
	Type         string `arg:"" help:"Callback type, such as music."`
	PublicURL    string `default:"https://your.host" help:"How the provider reaches the gateway."`
	URLTokenFile string `name:"url-token-file" placeholder:"FILE" type:"path" help:"File with the token that the URL ends in; made, with a fresh token, if there is none (default: no token)."`
}

// Run prints the URL.
func (c *URL) Run(_ context.Context, env Env) error {
	spec, err := specOf(c.Type)
	if err != nil {
		return err
	}
	base, err := url.Parse(c.PublicURL)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" {
		return fmt.Errorf("--public-url %q: want a URL such as https://your.host", c.PublicURL)
	}
	callbacks := base.JoinPath("callbacks", string(spec.Type))
	if c.URLTokenFile != "" {
		token, err := c.token()
		if err != nil {
			return err
		}
		callbacks = callbacks.JoinPath(token)
	}
	return write(env.Out, callbacks.String())
}

// token reads the token, or makes one of 130 random bits and keeps it.
func (c *URL) token() (string, error) {
	token, err := readSecret(c.URLTokenFile)
	if err == nil && url.PathEscape(token) != token {
		return "", fmt.Errorf("%s: a URL token holds A-Z a-z 0-9 _ and - only", c.URLTokenFile)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	token = rand.Text()
	if err := os.WriteFile(c.URLTokenFile, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	return token, nil
}

// readSecret reads the secret in a file, without the line break at its end; the
// empty path has none.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty: put the secret into it", path)
	}
	return secret, nil
}
